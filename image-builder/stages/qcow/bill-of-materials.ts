// The bill of materials of a disk, from the tree that has gone into it.
import { readFile, writeFile } from 'node:fs/promises';
import type { StageContext } from '../../sandbox/stage-context.ts';
import { takeInventory } from '../../sbom/inventory.ts';
import { type FetchedFile, type PackageArchive, spdxDocument } from '../../sbom/spdx.ts';
import { osconfigWithoutCredentials } from '../../spec/variables/credentials.ts';
import type { ResolvedBuild } from '../../spec/variables/resolved.ts';
import type { ResolvedQcowImage } from '../../spec/variables/resolved-images.ts';
import { commonScripts, qcowScripts } from '../osconfig/configure.ts';

export interface BillOfMaterialsRequest {
  /** As it was written to the disk. */
  tree: string;
  disk: { file: string; sha256: string };
  /** JSON file of the package files that the tree was installed from. */
  archivesFile: string;
  rootfs: ResolvedBuild['rootfs'];
  image: ResolvedQcowImage;
  /** Where the document goes. */
  output: string;
}

/**
 * Writes the SPDX document of a disk.
 * @throws ToolError
 */
export async function writeBillOfMaterials(
  request: BillOfMaterialsRequest,
  context: StageContext,
): Promise<void> {
  const { tree, disk, rootfs, image } = request;
  const fetched = fetchedFiles(rootfs, image);
  const inventory = await takeInventory(
    tree,
    fetched.map(({ path }) => path),
    context,
  );
  const archives: PackageArchive[] = JSON.parse(await readFile(request.archivesFile, 'utf8'));
  const { osconfig, scripts, qcow } = image;
  const runtimeScripts = qcow.qcow_container_runtime_scripts;
  const document = spdxDocument({
    disk,
    created: context.sourceDateEpoch,
    inventory,
    archives,
    fetched,
    scripts: [
      ...commonScripts(rootfs.osconfig, rootfs.scripts),
      ...qcowScripts({ osconfig, scripts, runtimeScripts }),
    ],
  });
  await writeFile(request.output, document);
}

/** What was fetched for all images, and for this one; of two files in one place the later. */
function fetchedFiles(
  { osconfig: common }: ResolvedBuild['rootfs'],
  { osconfig }: ResolvedQcowImage,
): FetchedFile[] {
  const items = [
    ...osconfigWithoutCredentials(common).fetch_from_url.filter((one) => one.run_contexts.includes('common')),
    ...osconfigWithoutCredentials(osconfig).fetch_from_url.filter((one) => one.run_contexts.includes('qcow')),
  ];
  return [...new Map(items.map(({ url, dest }) => [dest, { url, path: dest }])).values()];
}

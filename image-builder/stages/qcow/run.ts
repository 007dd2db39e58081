// Runs a stage `qcow/<name>`: configures the common root file system for one image, makes a disk of it, and the layer
// that every bundle with this image has.
import { join } from 'node:path';
import { writeIndexLayer, writeQcowLayer } from '../../bundle/write/assemble.ts';
import { assembleDisk } from '../../disk/assemble.ts';
import type { PlannedPartition } from '../../disk/disk-plan.ts';
import { hashOf } from '../../pipeline/keys.ts';
import { configureQcowTree, unpackRootfs } from '../osconfig/configure.ts';
import { readOsconfigEntry } from '../osconfig/osconfig-entry.ts';
import { requireKubeadmImages } from '../preload/kubeadm-images.ts';
import { placeImages } from '../preload/place.ts';
import { readPreloadEntry } from '../preload/preload-entry.ts';
import { requireSpace } from '../preload/space.ts';
import type { StageWork } from '../stage.ts';
import { writeBillOfMaterials } from './bill-of-materials.ts';
import { menuOf } from './boot-menu.ts';
import { INDEX_FILE, LAYER_FILE, type QcowFacts, SBOM_FILE } from './qcow-entry.ts';
import type { QcowInputs } from './qcow-inputs.ts';

/** Takes the tree that osconfig has left, if it is still there. */
export const run: StageWork<QcowInputs, QcowFacts> = async (
  { stage, parents, tree, context },
  { qcows, rootfs, preload },
  { cacheDir },
) => {
  const name = stage.name.slice('qcow/'.length);
  const image = qcows[name];
  if (!image) throw new TypeError(`no QCOW ${name}`);
  const osconfig = readOsconfigEntry(parents.osconfig);
  const images = preload && readPreloadEntry(parents.preload);
  if (images) requireSpace(images.bytes, { qcows: { [name]: image }, rootfs });
  const root = tree ?? (await unpackRootfs(osconfig.file, context));
  await configureQcowTree(
    {
      tree: root,
      osconfig: image.osconfig,
      common: rootfs.osconfig,
      scripts: image.scripts,
      runtimeScripts: image.qcow.qcow_container_runtime_scripts,
      cacheDir,
    },
    context,
  );
  if (images) {
    await requireKubeadmImages(preload, root, osconfig.packages, context);
    await placeImages(images, root, context);
  }
  const fileName = `${image.qcow.img_name}.qcow2`;
  const output = join(context.outputDir, fileName);
  const disk = await assembleDisk(
    {
      tree: root,
      architecture: rootfs.multistrap.rootfs_arch,
      qcow: image.qcow,
      menu: menuOf(image.osconfig, osconfig.packages),
      identifierSeed: stage.recipe,
      output,
      index: join(context.workDir, 'index'),
      ...(cacheDir && {
        clusters: { directory: join(cacheDir, 'clusters'), madeBy: hashOf(stage.toolVersions) },
      }),
    },
    context,
  );
  context.step('compute checksums and pack the layer');
  const rootFSUUID = disk.partitions.find(({ mount }) => mount === '/')?.fileSystem?.uuid;
  const { layer, artifact } = await writeQcowLayer(
    {
      path: output,
      fileName,
      partitions: disk.partitions.map(describePartition),
      ...(rootFSUUID && { rootFSUUID }),
    },
    join(context.outputDir, LAYER_FILE),
    {
      mtime: context.sourceDateEpoch,
      signal: context.signal,
      onBytes: context.bytes,
    },
  );
  const index = disk.index
    ? await writeIndexLayer({ path: disk.index, fileName }, join(context.outputDir, INDEX_FILE), {
        mtime: context.sourceDateEpoch,
        signal: context.signal,
      })
    : undefined;
  context.step('write the bill of materials');
  await writeBillOfMaterials(
    {
      tree: root,
      disk: { file: fileName, sha256: artifact.sha256 },
      archivesFile: osconfig.archives,
      rootfs,
      image,
      output: join(context.outputDir, SBOM_FILE),
    },
    context,
  );
  const { partitions, secureBoot } = disk;
  return {
    facts: {
      artifact,
      layer: layer.descriptor,
      ...(index && { index: index.descriptor }),
      partitions,
      secureBoot,
    },
    digests: {
      [fileName]: artifact.sha256,
      [LAYER_FILE]: layer.descriptor.digest.slice('sha256:'.length),
      ...(index && { [INDEX_FILE]: index.descriptor.digest.slice('sha256:'.length) }),
    },
  };
};

function describePartition({ number, startBytes, sizeBytes, fileSystem, mount }: PlannedPartition) {
  return {
    number,
    start: startBytes,
    size: sizeBytes,
    ...(fileSystem && { filesystem: fileSystem.type }),
    ...(mount !== undefined && { mount }),
  };
}

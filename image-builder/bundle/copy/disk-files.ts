// Finds the disk images of a bundle: which files they are, which layers hold them, and their expected checksums.

import type { Image } from '../../oci/image.ts';
import type { Descriptor } from '../../oci/model.ts';
import { parseArtifacts, parseMd5sum } from '../artifacts.ts';
import { BundleError } from '../bundle-error.ts';
import { ARTIFACTS_FILE, type Checksums, QCOWS_DIRECTORY } from '../model.ts';
import { type ImageFiles, planLayers, readFromLayers } from '../read/image-files.ts';
import { type LayerPlan, markedLayer } from '../read/layer-plan.ts';
import { cleanPath, isWithin, nameOf } from '../read/overlay/path.ts';
import type { OverlayQuery } from '../read/overlay/wanted-paths.ts';
import type { Verification } from '../read/verification.ts';

const QCOWS = cleanPath(QCOWS_DIRECTORY);
const ISO = 'iso';
/** For bundles without a description: everything in these directories. */
const FOREIGN_QUERY: OverlayQuery = {
  files: [],
  directories: [QCOWS, ISO].map((path) => ({
    path,
    list: true,
    content: (name: string) => name.endsWith('.md5sum'),
  })),
};
/** Images and their checksums only: no name that a shell, kustomize or another tool would pick up. */
const IMAGE_NAME = /^[A-Za-z0-9][\w.+-]*\.(?:qcow2|iso)(?:\.(?:md5|sha1|sha256|sha512)(?:sum)?)?$/;

/** What is known of a file before it is copied. */
export type Expected = Partial<Checksums & { size: number }>;

/** A file to be copied. */
export interface WantedFile {
  name: string;
  /** Bytes, as the layer says. */
  size: number;
  /** Where it lies: the index of the layer in {@link CopySource.layers}, and the path in that layer. */
  origin: { layer: number; path: string };
  expected: Expected;
}

/** The files to copy, and the layers that hold them. */
export interface CopySource {
  wanted: WantedFile[];
  /** Uppermost first. */
  layers: Descriptor[];
  /** Names of files beside them that are not images. */
  leftOut: string[];
}

/**
 * Finds the files to copy.
 * @param names only these; empty: all
 * @param verification required of the search; the files themselves are always verified
 * @throws BundleError FILE_NOT_FOUND
 */
export async function findCopies(
  image: Image,
  names: readonly string[],
  verification: Verification,
): Promise<CopySource> {
  const described = await describedFiles(image);
  const query = described ? { files: [...described.keys()], directories: [] } : FOREIGN_QUERY;
  const plan = await planLayers(image, query, verification);
  const found = await readFromLayers(image, plan, query, verification);
  const all = [...found.files].filter(([path]) => isWithin(path, QCOWS) || isWithin(path, ISO));
  // A described file may have any name if the user asks for it by that name.
  const isImage = (path: string) =>
    IMAGE_NAME.test(nameOf(path)) || (described !== undefined && names.includes(nameOf(path)));
  const files = new Map(all.filter(([path]) => isImage(path)).map(([path, file]) => [nameOf(path), file]));
  const missing = names.filter((name) => !files.has(name));
  if (missing.length > 0 || files.size === 0) {
    const what = missing.length > 0 ? `no image ${missing.join(', ')}` : `no images in ${QCOWS_DIRECTORY}`;
    const hint = files.size > 0 ? `It has ${[...files.keys()].join(', ')}.` : 'Check the reference.';
    throw new BundleError('FILE_NOT_FOUND', `${image.source.name} has ${what}`, { hint });
  }
  const expected = new Map<string, Expected>([
    ...checksumFiles(found),
    ...[...(described ?? [])].map(([path, sums]) => [nameOf(path), sums] as const),
  ]);
  const wanted = [...files]
    .filter(([name]) => names.length === 0 || names.includes(name))
    .map(([name, { size, origin }]) => ({ name, size, origin, expected: expected.get(name) ?? {} }));
  const leftOut = all.filter(([path]) => !isImage(path)).map(([path]) => nameOf(path));
  return { wanted, layers: found.layers, leftOut };
}

/** Paths and checksums from the bundle's description; undefined without one. */
async function describedFiles(image: Image): Promise<Map<string, Expected> | undefined> {
  const path = cleanPath(ARTIFACTS_FILE);
  const marked = markedLayer(image.manifest, [path]);
  if (!marked) return undefined;
  const query: OverlayQuery = { files: [], optional: [path], directories: [] };
  const plan: LayerPlan = { layers: [marked], leftOut: [], coverage: 'full' };
  const found = await readFromLayers(image, plan, query, 'full');
  const json = found.files.get(path)?.content?.toString('utf8');
  if (json === undefined) return undefined;
  const { qcows, iso } = parseArtifacts(json, image.source.name);
  const files = new Map<string, Expected>(
    Object.values(qcows).map((qcow) => [`${QCOWS}/${qcow.file}`, qcow]),
  );
  if (iso) files.set(`${ISO}/${iso.file}`, iso);
  return files;
}

/** The `.md5sum` files beside the images, by the name of the image. */
function checksumFiles(found: ImageFiles): [string, Expected][] {
  return [...found.files].flatMap(([path, { content }]) => {
    const md5 = path.endsWith('.md5sum') ? parseMd5sum(content?.toString('utf8') ?? '') : undefined;
    return md5 ? [[nameOf(path).replace(/\.md5sum$/, ''), { md5 }] as [string, Expected]] : [];
  });
}

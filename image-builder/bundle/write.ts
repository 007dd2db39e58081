// Writes a qcow bundle: an OCI image made without a container engine, the same bytes for the same content.
import { mkdir, mkdtemp, open, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { InstalledPackages } from './packages.ts';
import {
  ARTIFACTS_FILE,
  type ArtifactPartition,
  type Artifacts,
  type BundleReference,
  type IsoArtifact,
  PACKAGES_FILE,
  PROFILES_DIRECTORY,
  type Profile,
  QCOWS_DIRECTORY,
  type QcowArtifact,
} from './types.ts';
import { addFile, addJson, blobPath } from './write-blobs.ts';
import { type BundleDestination, publishBundle } from './write-destination.ts';
import { BundleWriteError } from './write-errors.ts';
import { type FileChecksums, type Layer, type LayerOptions, writeLayer } from './write-layer.ts';
import {
  type AddedLayer,
  type BaseImage,
  type Descriptor,
  type ImageDescription,
  imageConfig,
  imageManifest,
  markProfilesLayer,
  OCI_CONFIG,
  OCI_MANIFEST,
} from './write-oci.ts';

/** Directory of a bundle's ISO. */
const ISO_DIRECTORY = '/iso';

/** An image in a layer of its own: made once, used by every bundle that has the image. */
export interface ImageLayer<Artifact extends QcowArtifact | IsoArtifact> {
  layer: Layer;
  artifact: Artifact;
}

/** A base image whose layers are on this machine. */
export interface LocalBaseImage extends BaseImage {
  /** The file of a layer's blob. */
  blob: (digest: string) => string;
}

/** What a bundle is made of. */
export interface BundleRequest extends ImageDescription {
  /** By name. */
  qcows: Readonly<Record<string, ImageLayer<QcowArtifact>>>;
  iso?: ImageLayer<IsoArtifact>;
  profiles: readonly Profile[];
  /** What is installed in the images; becomes /manifests/packages.json. */
  packages?: InstalledPackages;
  base?: LocalBaseImage;
}

/** A bundle in an OCI layout directory of its own, without a tag. */
export interface AssembledBundle {
  /** The layout directory. */
  directory: string;
  manifest: Descriptor;
  artifacts: Artifacts;
}

/**
 * Writes a QCOW's layer: `/qcows/<name>.qcow2` alone in a tar that is not compressed, since the QCOW is, so that a
 * registry serves any part of it by range.
 * @param qcow `checksums`, `partitions`: those of the file, when they are known
 * @throws BundleWriteError when the file is not a QCOW2 image
 */
export async function writeQcowLayer(
  qcow: { path: string; fileName: string; checksums?: FileChecksums; partitions?: ArtifactPartition[] },
  target: string,
  options: LayerOptions,
): Promise<ImageLayer<QcowArtifact>> {
  const virtualSize = await readVirtualSize(qcow.path);
  const { layer, checksums } = await writeImageLayer(QCOWS_DIRECTORY, qcow, target, options);
  const { partitions } = qcow;
  const artifact: QcowArtifact = { file: qcow.fileName, format: 'qcow2', ...checksums, virtualSize };
  return { layer, artifact: partitions ? { ...artifact, partitions } : artifact };
}

/** Writes the ISO's layer: `/iso/<name>.iso`. */
export async function writeIsoLayer(
  iso: { path: string; fileName: string },
  target: string,
  options: LayerOptions,
): Promise<ImageLayer<IsoArtifact>> {
  const { layer, checksums } = await writeImageLayer(ISO_DIRECTORY, iso, target, options);
  return { layer, artifact: { file: iso.fileName, format: 'iso', ...checksums } };
}

async function writeImageLayer(
  directory: string,
  image: { path: string; fileName: string; checksums?: FileChecksums },
  target: string,
  options: LayerOptions,
): Promise<{ layer: Layer; checksums: FileChecksums }> {
  const path = `${directory}/${checkFileName(image.fileName)}`;
  const source = { path, source: image.path, ...(image.checksums && { checksums: image.checksums }) };
  const { layer, checksums } = await writeLayer([source], target, options);
  return { layer, checksums: checksums.get(path) as FileChecksums };
}

/**
 * Puts a bundle together in `directory`, which must not exist: layers of the base, of the images, of their checksums,
 * and last and marked that of the profiles. Large layers are linked, not copied, where the file system allows it.
 */
export async function assembleBundle(request: BundleRequest, directory: string): Promise<AssembledBundle> {
  const blobs = join(directory, 'blobs', 'sha256');
  await mkdir(blobs, { recursive: true });
  const artifacts = artifactsOf(request);
  const options: LayerOptions = { mtime: request.created };

  for (const layer of request.base?.layers ?? []) {
    await addFile(request.base?.blob(layer.digest) ?? '', blobs, layer.digest);
  }
  const layers: AddedLayer[] = [];
  for (const { layer, artifact } of imagesOf(request)) {
    await addFile(layer.file, blobs, layer.descriptor.digest);
    layers.push({ descriptor: layer.descriptor, createdBy: `image-builder: ${artifact.file}` });
  }
  const checksums = await addSmallLayer(
    [...checksumFiles(request), ...packageFiles(request)],
    blobs,
    options,
  );
  layers.push({ descriptor: checksums, createdBy: 'image-builder: checksums and packages' });
  const profiles = await addSmallLayer(profileFiles(request, artifacts), blobs, options);
  layers.push({ descriptor: markProfilesLayer(profiles), createdBy: 'image-builder: profiles' });

  const config = await addJson(imageConfig(request, layers, request.base), OCI_CONFIG, blobs);
  const manifest = await addJson(imageManifest(config, layers, request.base, request), OCI_MANIFEST, blobs);
  await writeFile(join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  await writeFile(join(directory, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [manifest] }));
  return { directory, manifest, artifacts };
}

/** What {@link writeBundle} packs: files, not yet layers. */
export interface BundleFiles extends ImageDescription {
  qcows: readonly { name: string; path: string; fileName?: string }[];
  iso?: { path: string; fileName: string };
  profiles: readonly Profile[];
  base?: LocalBaseImage;
}

/**
 * Writes a bundle from image files, in one pass over each.
 * @returns where it is, and the artifacts' checksums that were computed on the way
 * @throws BundleWriteError, StoreError; nothing has changed at the destination then
 */
export async function writeBundle(
  files: BundleFiles,
  destination: BundleDestination,
  options: { cwd: string; signal?: AbortSignal; onBytes?: (count: number) => void },
): Promise<{ reference: BundleReference; artifacts: Artifacts }> {
  const target = dirname(resolve(options.cwd, destination.path));
  await mkdir(target, { recursive: true });
  const work = await mkdtemp(join(target, '.image-builder-'));
  const layerOptions: LayerOptions = { ...options, mtime: files.created };
  try {
    const qcows: Record<string, ImageLayer<QcowArtifact>> = {};
    for (const { name, path, fileName = `${name}.qcow2` } of files.qcows) {
      qcows[name] = await writeQcowLayer({ path, fileName }, join(work, `layer-${fileName}`), layerOptions);
    }
    const iso = files.iso && (await writeIsoLayer(files.iso, join(work, 'layer-iso'), layerOptions));
    const { qcows: _, iso: __, ...rest } = files;
    const bundle = await assembleBundle({ ...rest, qcows, ...(iso && { iso }) }, join(work, 'bundle'));
    return { reference: await publishBundle(bundle, destination, options), artifacts: bundle.artifacts };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

function imagesOf(request: BundleRequest): ImageLayer<QcowArtifact | IsoArtifact>[] {
  const names = Object.keys(request.qcows).sort();
  const qcows = names.map((name) => request.qcows[name] as ImageLayer<QcowArtifact>);
  const files = new Set(qcows.map((qcow) => qcow.artifact.file));
  if (files.size !== qcows.length) {
    throw new BundleWriteError('BUNDLE_NAME_INVALID', 'two QCOWs of the bundle have the same file name', {
      hint: 'give each a qcow.img_name of its own',
    });
  }
  return request.iso ? [...qcows, request.iso] : qcows;
}

function artifactsOf(request: BundleRequest): Artifacts {
  const names = Object.keys(request.qcows).sort();
  const qcows = Object.fromEntries(
    names.map((name) => [name, request.qcows[name]?.artifact as QcowArtifact]),
  );
  return { qcows, ...(request.iso && { iso: request.iso.artifact }) };
}

/** `<file>.md5sum` and `.sha256sum` with the bare hash: consumers rename the files, so no name may stand in them. */
function checksumFiles(request: BundleRequest) {
  return imagesOf(request).flatMap(({ artifact }) => {
    const directory = artifact.format === 'iso' ? ISO_DIRECTORY : QCOWS_DIRECTORY;
    return (['md5', 'sha256'] as const).map((algorithm) => ({
      path: `${directory}/${artifact.file}.${algorithm}sum`,
      content: `${artifact[algorithm]}\n`,
    }));
  });
}

function packageFiles({ packages }: BundleRequest) {
  return packages ? [{ path: PACKAGES_FILE, content: `${JSON.stringify(packages, undefined, 1)}\n` }] : [];
}

function profileFiles(request: BundleRequest, artifacts: Artifacts) {
  const profiles = request.profiles.map(({ path, json }) => {
    if (dirname(path) !== PROFILES_DIRECTORY || path === ARTIFACTS_FILE) {
      throw new BundleWriteError('BUNDLE_NAME_INVALID', `a profile cannot have the path ${path}`);
    }
    checkFileName(basename(path));
    return { path, content: json };
  });
  return [...profiles, { path: ARTIFACTS_FILE, content: `${JSON.stringify(artifacts, undefined, 1)}\n` }];
}

function checkFileName(name: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) return name;
  throw new BundleWriteError(
    'BUNDLE_NAME_INVALID',
    `${JSON.stringify(name)} cannot be a file name in a bundle`,
  );
}

async function addSmallLayer(
  files: readonly { path: string; content: string }[],
  blobs: string,
  options: LayerOptions,
): Promise<Descriptor> {
  const temporary = join(blobs, '.layer');
  const { layer } = await writeLayer(files, temporary, options);
  await rename(temporary, blobPath(blobs, layer.descriptor.digest));
  return layer.descriptor;
}

const QCOW_MAGIC = 0x514649fb;

/** Size of the disk that a guest sees, from the header (QEMU, docs/interop/qcow2.rst), in bytes. */
async function readVirtualSize(path: string): Promise<number> {
  const file = await open(path, 'r');
  try {
    const header = Buffer.alloc(32);
    const { bytesRead } = await file.read(header, 0, header.length, 0);
    if (bytesRead === header.length && header.readUInt32BE(0) === QCOW_MAGIC) {
      return Number(header.readBigUInt64BE(24));
    }
  } finally {
    await file.close();
  }
  throw new BundleWriteError('BUNDLE_SOURCE_INVALID', `${path} is not a QCOW2 image`);
}

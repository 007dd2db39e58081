// Writes a qcow bundle: an OCI image made without a container engine, the same bytes for the same content.
import { mkdir, open, rename, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { addFile, addJson } from '../../oci/layout/blobs.ts';
import {
  blobPath,
  blobsDirectory,
  INDEX_FILE,
  LAYOUT_CONTENT,
  LAYOUT_FILE,
} from '../../oci/layout/format.ts';
import { OCI_CONFIG, OCI_MANIFEST } from '../../oci/media-types.ts';
import type { Descriptor } from '../../oci/model.ts';
import { EMPTY_CONFIG, EMPTY_CONFIG_CONTENT } from '../../oci/referrers/referrer.ts';
import { checksumFile } from '../checksums.ts';
import {
  ARTIFACTS_FILE,
  type ArtifactPartition,
  type Artifacts,
  IMAGE_LAYER_HISTORY,
  INDEX_DIRECTORY,
  INDEX_LAYER_HISTORY,
  PACKAGES_FILE,
  PACKAGES_LAYER_HISTORY,
  PROFILES_DIRECTORY,
  PROFILES_LAYER_HISTORY,
  type Profile,
  QCOWS_DIRECTORY,
  type QcowArtifact,
} from '../model.ts';
import type { InstalledPackages } from '../read/installed-packages.ts';
import { sbomReferrer } from '../sbom-referrer.ts';
import { type Layer, type LayerOptions, writeLayer } from './layer.ts';
import {
  type AddedLayer,
  type BaseImage,
  type ImageDescription,
  imageConfig,
  imageManifest,
  markIndexLayer,
  markProfilesLayer,
} from './manifest.ts';
import { BundleWriteError } from './write-error.ts';

/** An image in a layer of its own: made once, used by every bundle that has the image. */
export interface QcowLayer {
  layer: Layer;
  artifact: QcowArtifact;
  /** The layer with the index of its blocks, when it is compressed by zstd. */
  index?: Layer;
  /** File with the bill of materials of the disk, in SPDX. */
  sbom?: string;
}

/** A base image whose layers are on this machine. */
export interface LocalBaseImage extends BaseImage {
  /** The file of a layer's blob. */
  blob: (digest: string) => string;
}

/** What a bundle is made of. */
export interface BundleRequest extends ImageDescription {
  /** By name. */
  qcows: Readonly<Record<string, QcowLayer>>;
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
 * registry serves any part of it by range. Its checksums are computed meanwhile.
 * @param qcow `partitions` and `rootFSUUID`: what is on the disk, when it is known
 * @throws BundleWriteError when the file is not a QCOW2 image
 */
export async function writeQcowLayer(
  qcow: { path: string; fileName: string; partitions?: ArtifactPartition[]; rootFSUUID?: string },
  target: string,
  options: LayerOptions & { onBytes?: (done: number) => void },
): Promise<QcowLayer> {
  const virtualSize = await readVirtualSize(qcow.path);
  const path = `${QCOWS_DIRECTORY}/${checkFileName(qcow.fileName)}`;
  const failed = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, failed.signal]) : failed.signal;
  const stopOthers = (error: unknown) => {
    failed.abort(error);
    throw error;
  };
  const written = writeLayer([{ path, source: qcow.path }], target, { ...options, signal }).catch(stopOthers);
  const computed = checksumFile(qcow.path, { ...options, signal }).catch(stopOthers);
  // Whoever learns of a failure may remove the files, so nothing may read or write them after that.
  await Promise.allSettled([written, computed]);
  const [layer, checksums] = [await written, await computed];
  const { fileName, partitions, rootFSUUID } = qcow;
  const onDisk = { ...(partitions && { partitions }), ...(rootFSUUID && { rootFSUUID }) };
  return { layer, artifact: { file: fileName, format: 'qcow2', ...checksums, virtualSize, ...onDisk } };
}

/** Writes the layer with the index of a QCOW's blocks. */
export function writeIndexLayer(
  index: { path: string; fileName: string },
  target: string,
  options: LayerOptions,
): Promise<Layer> {
  const path = `${INDEX_DIRECTORY}/${checkFileName(index.fileName)}.index`;
  return writeLayer([{ path, source: index.path }], target, options);
}

/**
 * Puts a bundle together in `directory`, which must not exist: layers of the base, of the images, of their checksums,
 * and last and marked that of the profiles. Large layers are linked, not copied, where the file system allows it.
 */
export async function assembleBundle(request: BundleRequest, directory: string): Promise<AssembledBundle> {
  const blobs = blobsDirectory(directory);
  await mkdir(blobs, { recursive: true });
  const artifacts = artifactsOf(request);
  const options: LayerOptions = { mtime: request.created };

  for (const layer of request.base?.layers ?? []) {
    await addFile(request.base?.blob(layer.digest) ?? '', blobs, layer.digest);
  }
  const layers: AddedLayer[] = [];
  for (const { layer, artifact } of imagesOf(request)) {
    await addFile(layer.file, blobs, layer.descriptor.digest);
    layers.push({ descriptor: layer.descriptor, createdBy: `${IMAGE_LAYER_HISTORY}${artifact.file}` });
  }
  for (const { index, artifact } of imagesOf(request)) {
    if (!index) continue;
    await addFile(index.file, blobs, index.descriptor.digest);
    const descriptor = markIndexLayer(index.descriptor, artifact.file);
    layers.push({ descriptor, createdBy: `${INDEX_LAYER_HISTORY}${artifact.file}` });
  }
  const checksums = await addSmallLayer(
    [...checksumFiles(request), ...packageFiles(request)],
    blobs,
    options,
  );
  layers.push({ descriptor: checksums, createdBy: PACKAGES_LAYER_HISTORY });
  const profiles = await addSmallLayer(profileFiles(request, artifacts), blobs, options);
  layers.push({ descriptor: markProfilesLayer(profiles), createdBy: PROFILES_LAYER_HISTORY });

  const config = await addJson(imageConfig(request, layers, request.base), OCI_CONFIG, blobs);
  const manifest = await addJson(imageManifest(config, layers, request.base, request), OCI_MANIFEST, blobs);
  await writeFile(join(directory, LAYOUT_FILE), LAYOUT_CONTENT);
  const sboms = await addSboms(request, manifest, blobs);
  const manifests = [manifest, ...sboms];
  await writeFile(join(directory, INDEX_FILE), JSON.stringify({ schemaVersion: 2, manifests }));
  return { directory, manifest, artifacts };
}

/** Lays the bills of materials beside the image; what refers to it has no tag in a layout. */
async function addSboms(request: BundleRequest, manifest: Descriptor, blobs: string): Promise<Descriptor[]> {
  const described = imagesOf(request).filter(({ sbom }) => sbom !== undefined);
  if (described.length === 0) return [];
  await writeFile(blobPath(blobs, EMPTY_CONFIG.digest), EMPTY_CONFIG_CONTENT);
  return await Promise.all(
    described.map(async ({ artifact, sbom = '' }) => {
      const { size, sha256 } = await checksumFile(sbom);
      await addFile(sbom, blobs, `sha256:${sha256}`);
      const referrer = sbomReferrer(artifact, manifest, { digest: `sha256:${sha256}`, size });
      await writeFile(blobPath(blobs, referrer.descriptor.digest), referrer.content);
      return referrer.descriptor;
    }),
  );
}

function imagesOf(request: BundleRequest): QcowLayer[] {
  const names = Object.keys(request.qcows).sort();
  const qcows = names.map((name) => request.qcows[name] as QcowLayer);
  const files = new Set(qcows.map((qcow) => qcow.artifact.file));
  if (files.size !== qcows.length) {
    throw new BundleWriteError('BUNDLE_NAME_INVALID', 'two QCOWs of the bundle have the same file name', {
      hint: 'give each its own qcow.img_name',
    });
  }
  return qcows;
}

function artifactsOf(request: BundleRequest): Artifacts {
  const names = Object.keys(request.qcows).sort();
  return {
    qcows: Object.fromEntries(names.map((name) => [name, request.qcows[name]?.artifact as QcowArtifact])),
  };
}

/** `<file>.md5sum` and `.sha256sum` with the bare hash: consumers rename the files, so no name may stand in them. */
function checksumFiles(request: BundleRequest) {
  return imagesOf(request).flatMap(({ artifact }) => {
    return (['md5', 'sha256'] as const).map((algorithm) => ({
      path: `${QCOWS_DIRECTORY}/${artifact.file}.${algorithm}sum`,
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
  const layer = await writeLayer(files, temporary, options);
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

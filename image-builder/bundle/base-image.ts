// The image that a bundle is laid over, kept in a directory of its own by digest: fetched once, by whoever comes first.

import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { formatBytes } from '../base/diagnostics/render.ts';
import type { Digest } from '../oci/digest.ts';
import { Image } from '../oci/image.ts';
import { blobPath } from '../oci/layout/format.ts';
import { MANIFEST_LIMIT_BYTES } from '../oci/manifest.ts';
import { DOCKER_CONFIG, layerCompression, OCI_CONFIG, OCI_LAYER } from '../oci/media-types.ts';
import type { Descriptor, ImageConfig } from '../oci/model.ts';
import { openSource, type SourceOptions } from '../oci/open.ts';
import { parseReference, type Reference } from '../oci/reference.ts';
import { RECORD_FILE, readBase } from './local-base-image.ts';
import type { LocalBaseImage } from './write/assemble.ts';
import { BundleWriteError } from './write/write-error.ts';

/** A base image whose content is certain. */
export interface PinnedBase {
  /** As the user wrote it; file references are relative to the working directory. */
  image: string;
  /** Of its manifest or index; of the image ID where there is no manifest (docker-archive). */
  digest: Digest;
}

/**
 * Finds out what a reference stands for: nothing for one that has a digest, one small request for a tag.
 * @throws RegistryError
 */
export async function pinBase(image: string, options: SourceOptions & { cwd: string }): Promise<PinnedBase> {
  const reference = located(image, options.cwd);
  if (reference.digest && reference.transport !== 'docker-archive')
    return { image, digest: reference.digest };
  const source = await openSource(reference, options);
  try {
    return { image, digest: (await source.currentDigest()) ?? (await source.root()).descriptor.digest };
  } finally {
    await source.close();
  }
}

/** Where a base image is kept below `cacheDir`. */
export function baseDirectory(base: PinnedBase, architecture: string, cacheDir: string): string {
  return join(cacheDir, 'base', `${base.digest.replace(':', '-')}-${architecture}`);
}

/**
 * The base image on this machine, below `cacheDir`; it appears there by rename, verified.
 * @param architecture which image of an index (`amd64`, `arm64`)
 * @param step told what is done when it has to be fetched
 * @throws RegistryError, BundleWriteError
 */
export async function ensureBase(
  base: PinnedBase,
  architecture: string,
  cacheDir: string,
  options: SourceOptions & { cwd: string; step: (message: string) => void },
): Promise<LocalBaseImage> {
  const directory = baseDirectory(base, architecture, cacheDir);
  const known = await readBase(directory);
  if (known) return known;
  await mkdir(join(cacheDir, 'base'), { recursive: true });
  const work = await mkdtemp(join(cacheDir, 'base', '.fetch-'));
  try {
    await fetchBase(base, architecture, work, options);
    // Another build may have been quicker: what it has is the same.
    await rename(work, directory).catch(async (error) => {
      if (!(await readBase(directory))) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  const fetched = await readBase(directory);
  if (!fetched)
    throw new BundleWriteError('BUNDLE_WRITE_FAILED', `cannot keep the base image in ${directory}`);
  return fetched;
}

async function fetchBase(
  base: PinnedBase,
  architecture: string,
  directory: string,
  options: SourceOptions & { cwd: string; step: (message: string) => void },
): Promise<void> {
  const source = await openSource({ ...located(base.image, options.cwd), digest: base.digest }, options);
  try {
    const image = await Image.open(source, { platform: { os: 'linux', architecture } });
    if (image.digest !== base.digest) {
      throw new BundleWriteError('BUNDLE_BASE_INVALID', `${base.image} is no longer ${base.digest}`, {
        hint: 'build again, or pin the base to the intended digest',
      });
    }
    const content = await image.content(
      image.manifest.config,
      MANIFEST_LIMIT_BYTES,
      `the config of ${base.image}`,
    );
    const config: ImageConfig = JSON.parse(content.toString('utf8'));
    checkBase(base, config, image.manifest.config, image.manifest.layers);
    const layers: Descriptor[] = [];
    for (const layer of image.manifest.layers) {
      options.step(`fetch a layer of the base image (${formatBytes(layer.size)})`);
      const file = blobPath(directory, layer.digest);
      await pipeline(image.checked(layer, `a layer of ${base.image}`), createWriteStream(file));
      layers.push({
        mediaType: ociLayerType(layer.mediaType),
        digest: layer.digest,
        size: (await stat(file)).size,
      });
    }
    await writeFile(join(directory, RECORD_FILE), JSON.stringify({ config, layers }));
  } finally {
    await source.close();
  }
}

function checkBase(
  base: PinnedBase,
  config: ImageConfig,
  descriptor: Descriptor,
  layers: Descriptor[],
): void {
  const isImage = [OCI_CONFIG, DOCKER_CONFIG].includes(descriptor.mediaType);
  if (isImage && config.rootfs?.diff_ids?.length === layers.length) return;
  throw new BundleWriteError(
    'BUNDLE_BASE_INVALID',
    `${base.image} is not an image that can serve as a base`,
    {
      hint: 'name the function image: the target `function` of the Dockerfile, pushed or saved as an archive',
    },
  );
}

/** The bundle is an OCI image, also on a Docker base: the tars are the same. */
function ociLayerType(mediaType: string): string {
  const compression = layerCompression(mediaType);
  return compression === 'none' ? OCI_LAYER : `${OCI_LAYER}+${compression}`;
}

function located(image: string, cwd: string): Reference {
  const reference = parseReference(image);
  return 'path' in reference ? { ...reference, path: resolve(cwd, reference.path) } : reference;
}

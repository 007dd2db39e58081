// Runs the stage `preload`: pulls images by their digests, and lays them out as the disks carry them.
import { join } from 'node:path';
import type { Digest } from '../../oci/digest.ts';
import type { StageWork } from '../stage.ts';
import { BlobCache } from './blob-cache.ts';
import type { PreloadFacts } from './preload-entry.ts';
import { forEachImage } from './preload-error.ts';
import type { PreloadInputs } from './preload-inputs.ts';
import { fetchLayers, type ReadImage, readImage } from './pull-image.ts';
import { requireSpace } from './space.ts';
import { writeImages } from './write-layout.ts';

/** Copies no blob: those of the result are hard links to the cache where the store allows that. */
export const run: StageWork<PreloadInputs, PreloadFacts> = async (
  { inputs, context },
  build,
  { cacheDir, credentials },
) => {
  const { signal, step } = context;
  const cache = await BlobCache.open(join(cacheDir, 'images'));
  const mirrors = build.preload?.mirrors ?? {};
  const options = { signal, step, mirrors, ...(credentials && { credentials }) };
  step('read the manifests of the images');
  const images = await forEachImage(inputs.images, (image) =>
    readImage(image, inputs.architecture, cache, options),
  );
  const bytes = bytesOf(images);
  requireSpace(bytes, build);
  await forEachImage(withOwnLayers(images), ({ own, ...image }) => fetchLayers(image, own, cache, options));
  step('write the layout of the images');
  const digests = await writeImages(images, cache, context.outputDir);
  return { facts: { bytes, sourceDateEpoch: 0 }, digests };
};

/** Bytes of all blobs, each counted once. */
function bytesOf(images: readonly ReadImage[]): number {
  const blobs = images.flatMap(({ documents, layers }) => [...documents, ...layers]);
  const sizes = new Map(blobs.map(({ digest, size }) => [digest, size]));
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}

/** Of a layer that several images have, the first takes care. */
function withOwnLayers(images: readonly ReadImage[]) {
  const taken = new Set<Digest>();
  return images.map((image) => ({
    ...image,
    own: image.layers.filter(({ digest }) => !taken.has(digest) && taken.add(digest)),
  }));
}

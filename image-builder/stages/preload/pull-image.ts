// One image from a registry, or from what earlier builds have fetched: the blobs that its architecture needs.
import type { Architecture } from '../../base/architecture.ts';
import { formatBytes } from '../../base/diagnostics/render.ts';
import type { Digest } from '../../oci/digest.ts';
import { Image } from '../../oci/image.ts';
import type { ImageSource } from '../../oci/image-source.ts';
import { parseManifest } from '../../oci/manifest.ts';
import type { Descriptor } from '../../oci/model.ts';
import { openSource, type SourceOptions } from '../../oci/open.ts';
import { formatPlatform, platformOf } from '../../oci/platform.ts';
import { parseReference, type RegistryReference } from '../../oci/reference.ts';
import type { PinnedImage } from '../../spec/variables/resolved-kubernetes.ts';
import type { BlobCache } from './blob-cache.ts';
import { PreloadError } from './preload-error.ts';

/** How images are pulled. */
export type PullOptions = Pick<SourceOptions, 'mirrors' | 'credentials'> & { signal: AbortSignal };

/** An image whose manifests and config are in the cache. */
export interface ReadImage extends PinnedImage {
  /** What its names stand for: the manifest, or the index with the images of all architectures. */
  root: Pick<Descriptor, 'mediaType' | 'digest' | 'size'>;
  /** Root, manifests below it, and config. */
  documents: readonly Pick<Descriptor, 'digest' | 'size'>[];
  /** Lowest first; {@link fetchLayers} fetches them. */
  layers: readonly Descriptor[];
  readonly image: Image;
}

/**
 * Reads what an image consists of; nobody is asked for what the cache has.
 * @throws RegistryError NO_MATCHING_PLATFORM among others; PreloadError PRELOAD_ARCHITECTURE
 */
export async function readImage(
  pinned: PinnedImage,
  architecture: Architecture,
  cache: BlobCache,
  options: PullOptions,
): Promise<ReadImage> {
  const digest = pinned.digest as Digest;
  // Whatever is asked for on the way down is what the image needs.
  const sizes = new Map<Digest, number>();
  const noted = {
    get: async (wanted: Digest) => {
      const content = await cache.get(wanted);
      if (content) sizes.set(wanted, content.length);
      return content;
    },
    put: async (given: Digest, content: Buffer) => {
      sizes.set(given, content.length);
      await cache.put(given, content);
    },
  };
  const { signal } = options;
  return await fromRegistry(pinned, options, async (source) => {
    const platform = { os: 'linux', architecture };
    const known = await noted.get(digest);
    const descriptor = { mediaType: '', digest, size: known?.length ?? 0 };
    const image = known
      ? await Image.from(source, { descriptor, content: known }, { platform, cache: noted, signal })
      : await Image.open(source, { platform, cache: noted, signal });
    const found = platformOf(await image.config());
    if (found?.os !== platform.os || found.architecture !== architecture) {
      const is = found ? `is for ${formatPlatform(found)}` : 'does not say what it runs on';
      throw new PreloadError('PRELOAD_ARCHITECTURE', `${is}, expected linux/${architecture}`);
    }
    const content = (await cache.get(digest)) ?? Buffer.alloc(0);
    const { mediaType } = parseManifest(content, '', pinned.reference);
    const documents = [...sizes].map(([one, size]) => ({ digest: one, size }));
    for (const layer of image.manifest.layers) cache.path(layer.digest);
    const root = { mediaType, digest, size: content.length };
    return { ...pinned, root, documents, layers: image.manifest.layers, image };
  });
}

/**
 * Fetches layers of an image that are not in the cache.
 * @throws RegistryError
 */
export async function fetchLayers(
  { image, ...pinned }: Pick<ReadImage, 'reference' | 'digest' | 'image'>,
  layers: readonly Descriptor[],
  cache: BlobCache,
  options: PullOptions & { step: (message: string) => void },
): Promise<void> {
  const { reference } = pinned;
  await fromRegistry(pinned, options, async (source) => {
    const reading = image.readingFrom(source);
    for (const layer of layers) {
      const fetch = () => {
        options.step(`fetch a layer of ${reference} (${formatBytes(layer.size)})`);
        return reading.checked(layer, `a layer of ${reference}`);
      };
      await cache.ensure(layer, fetch, options.signal);
    }
  });
}

/** Opens the place of an image for as long as something is done with it; opening it sends nothing. */
async function fromRegistry<Result>(
  { reference, digest }: PinnedImage,
  options: PullOptions,
  use: (source: ImageSource) => Promise<Result>,
): Promise<Result> {
  // Without the tag: what that stands for now is nobody's business.
  const { tag: _, ...place } = parseReference(reference) as RegistryReference;
  const source = await openSource({ ...place, digest: digest as Digest }, options);
  try {
    return await use(source);
  } finally {
    await source.close();
  }
}

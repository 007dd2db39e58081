// Opens an image by its reference, with the machine's cache in front of the registry.

import type { TrustPolicy, Verdict } from '../../attestation/policy.ts';
import { cacheDirectory, type DiskCache, openCache } from '../../oci/cache.ts';
import { type Digest, isDigest } from '../../oci/digest.ts';
import { RegistryError } from '../../oci/http/registry-error.ts';
import type { Cost } from '../../oci/http/transport.ts';
import { Image, type ImageOptions } from '../../oci/image.ts';
import type { ImageSource } from '../../oci/image-source.ts';
import { openSource } from '../../oci/open.ts';
import { formatPlatform, hostPlatform } from '../../oci/platform.ts';
import { formatReference, type Reference, type RegistryReference } from '../../oci/reference.ts';
import type { ReadBundleOptions } from './read-options.ts';

/** Changes when the same image would be read differently. */
const READER_VERSION = 3;

/** An image, and what was found out about it. */
interface TrustedImage {
  image: Image;
  /** One for each policy of the options. */
  verdicts: { policy: TrustPolicy; verdict: Verdict }[];
}

/** An image that is open; `close` it. */
export interface OpenImage extends TrustedImage {
  /** For images of registries, unless the cache is off. */
  cache?: DiskCache;
  cost: () => Cost;
  close: () => Promise<void>;
}

/**
 * Opens an image. Offline, everything must come from the cache.
 * @throws RegistryError
 */
export async function openImage(reference: Reference, options: ReadBundleOptions): Promise<OpenImage> {
  const { signal } = options;
  const image = { ...(options.platform && { platform: options.platform }), ...(signal && { signal }) };
  if (reference.transport !== 'registry') {
    const source = await openSource(reference, options);
    return finish(source, () => trusted(Image.open(source, image), reference, options));
  }
  const cache = await cacheOf(options);
  const source = options.offline ? offlineSource(reference) : await openSource(reference, options);
  return finish(
    source,
    () =>
      trusted(
        openCached(reference, source, { ...image, ...(cache && { cache }) }, cache),
        reference,
        options,
        cache,
      ),
    cache,
  );
}

/** The image, if it is what its reader demands: manifests were read of it until now, and nothing else. */
async function trusted(
  opening: Promise<Image>,
  reference: Reference,
  { trust }: ReadBundleOptions,
  cache?: DiskCache,
): Promise<TrustedImage> {
  const [image, policies = []] = await Promise.all([opening, trust?.(reference)]);
  if (policies.length === 0) return { image, verdicts: [] };
  const { requireTrust } = await import('../evidence/trust.ts');
  const request = { source: image.source, reference, digest: image.digest, now: Date.now() / 1000 };
  const verdicts: TrustedImage['verdicts'] = [];
  for (const policy of policies) {
    const verdict = await requireTrust({ ...request, ...(cache && { cache }) }, policy);
    verdicts.push({ policy, verdict });
  }
  return { image, verdicts };
}

/** Identifies what was read from an image, apart from the paths. */
export function readingKey(image: Image, options: ReadBundleOptions): string {
  return `${READER_VERSION} ${image.digest} ${formatPlatform(options.platform ?? hostPlatform())}`;
}

async function finish(
  source: ImageSource,
  open: () => Promise<TrustedImage>,
  cache?: DiskCache,
): Promise<OpenImage> {
  const close = async () => {
    await source.close();
    await cache?.close();
  };
  try {
    return { ...(await open()), close, cost: () => ({ ...source.cost }), ...(cache && { cache }) };
  } catch (error) {
    await close();
    throw error;
  }
}

async function openCached(
  reference: RegistryReference,
  source: ImageSource,
  options: ImageOptions,
  cache: DiskCache | undefined,
): Promise<Image> {
  const key = formatReference(reference);
  const last = reference.digest ? undefined : await cache?.recall<string>('tags', key);
  const digest = reference.digest
    ? await seenThere(reference, reference.digest, cache)
    : await currentDigest(source, last, cache);
  const content = digest && (await cache?.get(digest));
  const root = digest && content && { descriptor: { mediaType: '', digest, size: content.length }, content };
  const image = root ? await Image.from(source, root, options) : await Image.open(source, options);
  const isNew = !reference.digest && image.digest !== last;
  if (isNew) await cache?.remember('tags', key, image.digest);
  if (isNew || !root) await cache?.remember('tags', placeOf(reference, image.digest), image.digest);
  return image;
}

/**
 * The digest, if the repository is known to have it. Content is the same everywhere, but a reference is taken for a place
 * where the image can be had: another host that has it is no reason to say so of this one.
 */
async function seenThere(
  reference: RegistryReference,
  digest: Digest,
  cache: DiskCache | undefined,
): Promise<Digest | undefined> {
  const seen = await cache?.recall<string>('tags', placeOf(reference, digest));
  return seen === digest ? digest : undefined;
}

function placeOf({ registry, repository }: RegistryReference, digest: Digest): string {
  return formatReference({ transport: 'registry', registry, repository, digest });
}

/**
 * What a tag stands for now, if it is worth a question: a tag that was read before needs one small request, any other
 * manifest is fetched anyway. Offline, what it stood for last counts.
 */
async function currentDigest(
  source: ImageSource,
  last: string | undefined,
  cache: DiskCache | undefined,
): Promise<Digest | undefined> {
  if (last === undefined || !isDigest(last)) return undefined;
  if (source instanceof OfflineSource) return last;
  return (await cache?.get(last)) ? source.currentDigest() : undefined;
}

async function cacheOf(options: ReadBundleOptions): Promise<DiskCache | undefined> {
  if (options.cache === false) return undefined;
  const directory = options.cache ?? cacheDirectory(options.environment ?? process.env);
  return directory === undefined ? undefined : openCache(directory);
}

function offlineSource(reference: RegistryReference): ImageSource {
  return new OfflineSource(formatReference(reference));
}

/** Has nothing: what is not in the cache cannot be read. */
class OfflineSource implements ImageSource {
  readonly name: string;
  readonly cost: Cost = { requests: 0, bytes: 0 };
  readonly warnings: string[] = [];

  constructor(name: string) {
    this.name = name;
  }

  async currentDigest(): Promise<undefined> {
    return undefined;
  }

  async root(): Promise<never> {
    throw this.#refuse();
  }

  async manifest(): Promise<never> {
    throw this.#refuse();
  }

  // biome-ignore lint/correctness/useYield: it never has anything
  async *blob(): AsyncGenerator<never> {
    throw this.#refuse();
  }

  // biome-ignore lint/correctness/useYield: it never has anything
  async *referrers(): AsyncGenerator<never> {
    throw this.#refuse();
  }

  async close(): Promise<void> {}

  #refuse(): RegistryError {
    return new RegistryError(
      'OFFLINE',
      `${this.name} is not in the cache, and the network must not be used`,
      {
        hint: 'Read it once with network access, or drop --offline.',
      },
    );
  }
}

// What refers to an image goes where the image goes: signatures, bills of materials, and what refers to those.
import { checkContent, type Digest } from '../digest.ts';
import type { StoredManifest } from '../distribution/put-manifest.ts';
import { RegistryError } from '../http/registry-error.ts';
import type { ImageSource } from '../image-source.ts';
import { MANIFEST_LIMIT_BYTES, parseManifest } from '../manifest.ts';
import type { StoredReferrer } from './push-referrers.ts';

/** More than anybody attaches to a bundle. */
const MOST = 1000;

/**
 * Everything that refers to one of the manifests, or to something that does.
 * @throws RegistryError
 */
export async function readReferrers(
  source: Pick<ImageSource, 'name' | 'manifest' | 'referrers'>,
  manifests: readonly StoredManifest[],
): Promise<StoredReferrer[]> {
  if (!source.referrers) return [];
  const known = new Set<Digest>(manifests.map(({ digest }) => digest));
  const found: StoredReferrer[] = [];
  const queue = [...known];
  for (let subject = queue.shift(); subject; subject = queue.shift()) {
    for await (const descriptor of source.referrers(subject)) {
      if (known.has(descriptor.digest)) continue;
      if (found.length >= MOST)
        throw new RegistryError('TOO_LARGE', `more than ${MOST} manifests refer to ${source.name}`);
      const what = `the referrer ${descriptor.digest}`;
      if (descriptor.size > MANIFEST_LIMIT_BYTES)
        throw new RegistryError('TOO_LARGE', `${what} claims ${descriptor.size} bytes`);
      const content = descriptor.data ?? (await source.manifest(descriptor));
      checkContent(content, descriptor, what);
      const { mediaType } = parseManifest(content, descriptor.mediaType, what);
      known.add(descriptor.digest);
      found.push({ content, mediaType, digest: descriptor.digest, subject });
      queue.push(descriptor.digest);
    }
  }
  return found;
}

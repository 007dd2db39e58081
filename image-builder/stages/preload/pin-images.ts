// Which images a build carries, by digest: before the plan, since the digests are in its keys.

import { invalidInput } from '../../base/diagnostics/error.ts';
import type { Env } from '../../base/env.ts';
import type { CredentialOptions } from '../../oci/credentials/credentials.ts';
import { hasDefault, preloadReferences, unknownRelease } from '../../spec/variables/kubernetes/preload.ts';
import type { ResolvedBuild } from '../../spec/variables/resolved.ts';
import type { PinnedImage, ResolvedPreload } from '../../spec/variables/resolved-kubernetes.ts';
import { FIELD, forEachImage } from './preload-error.ts';

interface PinOptions {
  env?: Env;
  credentials?: CredentialOptions;
  signal?: AbortSignal;
}

/**
 * The build with the digest of each image that its disks carry: from the reference, else from the lock, else from the
 * registry.
 * @throws PreloadError PRELOAD_UNAVAILABLE
 */
export async function withPinnedImages(resolved: ResolvedBuild, options: PinOptions): Promise<ResolvedBuild> {
  const { preload, lock, qcows } = resolved;
  if (preload === undefined || preload.images || Object.keys(qcows).length === 0) return resolved;
  return {
    ...resolved,
    preload: { ...preload, images: await pinImages(preload, lock?.images ?? {}, options) },
  };
}

/**
 * What the images of a build stand for now, whatever its lock says; undefined when its disks carry none.
 * @param packages what would be installed: kubeadm among them decides what `default` is
 * @throws InvalidInputError when nobody knows that; PreloadError PRELOAD_UNAVAILABLE
 */
export async function currentImages(
  { preload }: Pick<ResolvedBuild, 'preload'>,
  packages: readonly { name: string; version: string }[],
  options: PinOptions,
): Promise<PinnedImage[] | undefined> {
  if (preload === undefined || !hasDefault(preload)) return preload && pinImages(preload, {}, options);
  const release = packages.find(({ name }) => name === 'kubeadm')?.version;
  if (release === undefined) throw invalidInput(FIELD, 'has default, but the image has no package kubeadm');
  const unknown = unknownRelease(release);
  if (unknown !== undefined) throw invalidInput(FIELD, unknown);
  return await pinImages({ ...preload, release }, {}, options);
}

/**
 * What the references stand for.
 * @param known digests by reference that nobody has to be asked for
 * @throws PreloadError PRELOAD_UNAVAILABLE
 */
async function pinImages(
  preload: ResolvedPreload,
  known: Readonly<Record<string, string>>,
  { env, credentials, signal }: PinOptions,
): Promise<PinnedImage[]> {
  const references = preloadReferences(preload).map((reference) => ({ reference }));
  return await forEachImage(references, async ({ reference }) => {
    const own = /@(sha256:[0-9a-f]{64})$/.exec(reference)?.[1] ?? known[reference];
    if (own !== undefined) return { reference, digest: own };
    const [{ openSource }, { parseReference }] = await Promise.all([
      import('../../oci/open.ts'),
      import('../../oci/reference.ts'),
    ]);
    const source = await openSource(parseReference(reference), {
      mirrors: preload.mirrors,
      ...(env && { environment: env }),
      ...(credentials && { credentials }),
      ...(signal && { signal }),
    });
    try {
      return { reference, digest: (await source.currentDigest()) ?? (await source.root()).descriptor.digest };
    } finally {
      await source.close();
    }
  });
}

// The base image of a bundle in a build: what it is before the plan, and where it is for the stage.
import type { PinnedBase } from '../bundle/base.ts';
import type { LocalBaseImage } from '../bundle/write.ts';
import type { CredentialOptions } from '../registry/credentials/types.ts';
import type { Environment } from '../registry/http/proxy.ts';
import type { ResolvedBuild } from '../variables/types.ts';

interface BaseOptions {
  cwd: string;
  env?: Environment;
  credentials?: CredentialOptions;
  signal?: AbortSignal;
}

/**
 * The build with the digest of its base image, by which the bundle gets its key.
 * @throws RegistryError
 */
export async function withPinnedBase(resolved: ResolvedBuild, options: BaseOptions): Promise<ResolvedBuild> {
  const { base } = resolved.bundle;
  if (!base || base.digest) return resolved;
  const { pinBase } = await import('../bundle/base.ts');
  const pinned = await pinBase(base.image, sourceOptions(options));
  return { ...resolved, bundle: { ...resolved.bundle, base: pinned } };
}

/**
 * The base image on this machine; fetched when it is not there.
 * @throws RegistryError, BundleWriteError
 */
export async function localBase(
  { bundle, rootfs }: ResolvedBuild,
  cacheDir: string,
  options: BaseOptions & { step: (message: string) => void },
): Promise<LocalBaseImage | undefined> {
  if (!bundle.base) return undefined;
  const { ensureBase } = await import('../bundle/base.ts');
  // Whoever has planned the build has pinned it.
  const pinned = bundle.base as PinnedBase;
  return await ensureBase(pinned, rootfs.multistrap.rootfs_arch, cacheDir, {
    ...sourceOptions(options),
    step: options.step,
  });
}

function sourceOptions({ cwd, env, credentials, signal }: BaseOptions) {
  return {
    cwd,
    ...(env && { environment: env }),
    ...(credentials && { credentials }),
    ...(signal && { signal }),
  };
}

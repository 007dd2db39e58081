// What lies below a bundle: what it is before the plan, and where it is for the stage.
import type { Env } from '../../base/env.ts';
import type { PinnedBase } from '../../bundle/base-image.ts';
import type { LocalBaseImage } from '../../bundle/write/assemble.ts';
import type { CredentialOptions } from '../../oci/credentials/credentials.ts';
import type { MayRead } from '../../oci/image-source.ts';
import type { Policy } from '../../policy/policy.ts';
import type { ResolvedBuild } from '../../spec/variables/resolved.ts';

interface BaseOptions {
  cwd: string;
  env?: Env;
  credentials?: CredentialOptions;
  signal?: AbortSignal;
}

/**
 * The build with the digest of its base image, by which the bundle gets its key.
 * @throws RegistryError; InvalidInputError for a file that may not be read
 */
export async function withPinnedBase(
  resolved: ResolvedBuild,
  options: BaseOptions & { policy: Pick<Policy, 'read'> },
): Promise<ResolvedBuild> {
  const { base } = resolved.bundle;
  if (typeof base === 'string' || base.digest) return resolved;
  const mayRead = await requireReadable(base.image, options);
  const { pinBase } = await import('../../bundle/base-image.ts');
  const pinned = await pinBase(base.image, { ...sourceOptions(options), ...(mayRead && { mayRead }) });
  return { ...resolved, bundle: { ...resolved.bundle, base: pinned } };
}

/**
 * What the bundle is laid over, on this machine; an image is fetched when it is not there. Undefined for data only.
 * @throws RegistryError, BundleWriteError
 */
export async function localBase(
  { bundle, rootfs }: ResolvedBuild,
  cacheDir: string,
  options: BaseOptions & {
    /** Digest of the function's base that the build was planned with. */
    functionBase?: string | undefined;
    signal: AbortSignal;
    step: (message: string) => void;
  },
): Promise<LocalBaseImage | undefined> {
  const { rootfs_arch: architecture } = rootfs.multistrap;
  if (bundle.base === 'none') return undefined;
  if (bundle.base === 'function') {
    const { functionBase } = await import('./function-base.ts');
    return await functionBase(architecture, { expected: options.functionBase, signal: options.signal });
  }
  const { ensureBase } = await import('../../bundle/base-image.ts');
  // Whoever has planned the build has pinned it.
  const pinned = bundle.base as PinnedBase;
  return await ensureBase(pinned, architecture, cacheDir, { ...sourceOptions(options), step: options.step });
}

/**
 * Makes sure that a base in a file may be read, as other files of the spec.
 * @returns the same for the files in it; undefined for an image in a registry
 */
async function requireReadable(
  image: string,
  { cwd, env = process.env, policy }: BaseOptions & { policy: Pick<Policy, 'read'> },
): Promise<MayRead | undefined> {
  const [{ localPathOf }, { SpecFiles }, { PathError }] = await Promise.all([
    import('../../oci/local-path.ts'),
    import('../../policy/spec-files.ts'),
    import('../../policy/paths.ts'),
  ]);
  const path = localPathOf(image, env);
  if (path === undefined) return undefined;
  const files = new SpecFiles(cwd, policy.read);
  const mayRead = (file: string) =>
    files.require(file).catch((error) => {
      throw error instanceof PathError ? error.at('spec.build.bundle.base') : error;
    });
  await mayRead(path);
  return mayRead;
}

function sourceOptions({ cwd, env, credentials, signal }: BaseOptions) {
  return {
    cwd,
    ...(env && { environment: env }),
    ...(credentials && { credentials }),
    ...(signal && { signal }),
  };
}

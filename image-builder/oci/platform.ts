// Which manifest of an index is meant (OCI image-spec image-index.md).

import { RegistryError } from './http/registry-error.ts';
import { isIndex, isManifest } from './media-types.ts';
import type { Descriptor, ImageConfig, Index, Platform } from './model.ts';

/** Node's names of architectures in the words of GOARCH, which OCI uses. */
const ARCHITECTURES: Record<string, string> = {
  x64: 'amd64',
  arm64: 'arm64',
  arm: 'arm',
  ppc64: 'ppc64le',
  s390x: 's390x',
  riscv64: 'riscv64',
};

/** Linux on this machine's architecture: bundles are Linux images wherever the reader runs. */
export function hostPlatform(): Platform {
  return { os: 'linux', architecture: ARCHITECTURES[process.arch] ?? process.arch };
}

/** What an image runs on, as its config says; undefined when that does not. */
export function platformOf({ os, architecture, variant }: ImageConfig): Platform | undefined {
  if (os === undefined || architecture === undefined) return undefined;
  return { os, architecture, ...(variant && { variant }) };
}

/**
 * Parses `os/architecture[/variant]`.
 * @throws RegistryError INVALID_REFERENCE
 */
export function parsePlatform(text: string): Platform {
  const [os, architecture, variant, ...rest] = text.split('/');
  if (!os || !architecture || rest.length > 0) {
    throw new RegistryError('INVALID_REFERENCE', `"${text}" is not a platform`, {
      hint: 'Use for example linux/arm64.',
    });
  }
  return { os, architecture, ...(variant && { variant }) };
}

/** `os/architecture[/variant]`, as engines take it. */
export function formatPlatform(platform: Platform): string {
  return [platform.os, platform.architecture, platform.variant].filter(Boolean).join('/');
}

/**
 * Chooses the entry of an index: the wanted platform; else a nested index or an entry without a platform when it is the
 * only candidate; else, unless a platform was asked for, the only image there is. Attestations (`unknown/unknown`) and
 * disk manifests never count: they are not images that run.
 * @param exact a platform was asked for by name, so another one will not do
 * @throws RegistryError NO_MATCHING_PLATFORM, listing what there is
 */
export function choosePlatform(index: Index, wanted: Platform, exact: boolean, what: string): Descriptor {
  const images = index.manifests.filter((entry) => isImage(entry));
  const matching = images.filter((entry) => entry.platform && fits(entry.platform, wanted));
  const best = matching.find((entry) => entry.platform?.variant === wanted.variant) ?? matching[0];
  if (best) return best;
  const unnamed = images.filter((entry) => !entry.platform);
  if (unnamed.length === 1 && unnamed[0]) return unnamed[0];
  // /profiles and /qcows do not depend on the architecture of the function beside them.
  if (!exact && images.length === 1 && images[0]) return images[0];
  const names = images.map((entry) => (entry.platform ? formatPlatform(entry.platform) : entry.digest));
  throw new RegistryError('NO_MATCHING_PLATFORM', `${what} has no image for ${formatPlatform(wanted)}`, {
    hint: names.length > 0 ? `It has ${names.join(', ')}.` : 'It has no images at all.',
  });
}

function isImage(entry: Descriptor): boolean {
  if (!isManifest(entry.mediaType) && !isIndex(entry.mediaType)) return false;
  if (entry.platform?.os === 'unknown' || entry.platform?.architecture === 'unknown') return false;
  // Ironic's convention: a manifest that holds a bare disk image is marked with its type.
  return entry.annotations?.disktype === undefined;
}

function fits(platform: Platform, wanted: Platform): boolean {
  if (platform.os !== wanted.os || platform.architecture !== wanted.architecture) return false;
  return (
    wanted.variant === undefined || platform.variant === undefined || platform.variant === wanted.variant
  );
}

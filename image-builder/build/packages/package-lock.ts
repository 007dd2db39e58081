// Locks a build: what the repositories have now becomes a lock file. Pure.

import { type Change, changesBetween } from '../../pipeline/input-changes.ts';
import type { ResolvedBuild } from '../../spec/variables/resolved.ts';
import type { PinnedImage } from '../../spec/variables/resolved-kubernetes.ts';
import type { ResolvedLock } from '../../spec/variables/resolved-lock.ts';
import { withoutCredentials } from '../../spec/variables/uri.ts';
import { requestedPackages } from '../../stages/rootfs/apt-sources.ts';
import type { PackageResolution } from '../../stages/rootfs/resolution.ts';

/** The lock of a build with these packages, and these images on its disks. */
export function lockOf(
  { distribution, mirror, securityMirror, rootfs }: ResolvedBuild,
  { packages, keyrings, sourceDateEpoch }: PackageResolution,
  images?: readonly PinnedImage[],
): ResolvedLock {
  return {
    distribution: distribution.name,
    // The file is committed: who fetches from a mirror with a login has it from elsewhere.
    mirrors: {
      archive: withoutCredentials(mirror),
      ...(securityMirror !== undefined && { security: withoutCredentials(securityMirror) }),
    },
    sourceDateEpoch,
    requested: requestedPackages(rootfs.multistrap, distribution.boot_packages),
    unapproved: [...rootfs.multistrap.unapproved_packages].sort(),
    keyrings,
    ...(images && { images: Object.fromEntries(images.map(({ reference, digest }) => [reference, digest])) }),
    packages,
  };
}

/**
 * What an image would get that is not what the lock says. The date of the repositories alone is no difference: it
 * changes several times a day.
 */
export function driftOf(before: ResolvedLock | undefined, after: ResolvedLock): Change[] {
  const { sourceDateEpoch: _, ...old } = before ?? { sourceDateEpoch: 0, packages: [] };
  const { sourceDateEpoch: __, ...current } = after;
  return changesBetween(old, current);
}

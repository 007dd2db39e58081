// What is newer than what a lock holds, and what of it matters most. Pure.
import type { KubernetesRelease } from '../build/packages/newest-kubernetes.ts';
import { compareDebianVersions } from '../scan/debian-version.ts';
import { runtimeOf } from '../spec/variables/kubernetes/runtime.ts';
import { KUBERNETES_PACKAGES } from '../spec/variables/kubernetes.ts';
import type { ResolvedBuild } from '../spec/variables/resolved.ts';
import type { PinnedImage } from '../spec/variables/resolved-kubernetes.ts';
import type { LockedPackage, ResolvedLock } from '../spec/variables/resolved-lock.ts';
import type { ResolvedRepository } from '../spec/variables/resolved-multistrap.ts';

/** What a package is to a node. */
export type PackageRole = 'kubernetes' | 'kernel' | 'runtime' | 'other';

/** A package that a fresh lock would hold in another version. */
export interface PackageUpdate {
  name: string;
  role: PackageRole;
  /** Absent: it would be new. */
  before?: string;
  /** Absent: it would be gone. */
  after?: string;
  /** Whether the other version comes from a suite of security updates. */
  security: boolean;
}

/** An image whose reference stands for another digest now. */
export interface ImageUpdate {
  reference: string;
  before?: string;
  after?: string;
}

/** What is newer. */
export interface Outdated {
  /** metadata.name */
  name: string;
  architecture: string;
  /** Whether there is a lock: without one every build takes what is newest. */
  locked: boolean;
  kubernetes?: {
    /** Of the lock, else what a build would install now. */
    version: string;
    /** Day (YYYY-MM-DD) after which nobody fixes its minor version any more. */
    endOfLife?: string;
    isPastEndOfLife: boolean;
    /** The newest release of its minor version, when that is newer. */
    newest?: string;
    /** The newest release of each later minor version. */
    later: readonly KubernetesRelease[];
  };
  /** Sorted by name. */
  packages: readonly PackageUpdate[];
  images: readonly ImageUpdate[];
}

/** What there is now. */
export interface CurrentState {
  packages: readonly LockedPackage[];
  images?: readonly PinnedImage[] | undefined;
  /** See `newestKubernetes`. */
  releases: readonly KubernetesRelease[];
  /** Today. */
  now: Date;
}

/** @param lock absent: nothing holds anything back but the versions in the spec */
export function outdated(
  resolved: ResolvedBuild,
  lock: ResolvedLock | undefined,
  { packages, images = [], releases, now }: CurrentState,
): Outdated {
  const { rootfs, kubernetes } = resolved;
  const version = [lock?.packages ?? [], packages]
    .map((list) => list.find(({ name }) => name === 'kubelet')?.version)
    .find((one) => one !== undefined);
  return {
    name: resolved.name,
    architecture: rootfs.multistrap.rootfs_arch,
    locked: lock !== undefined,
    ...(kubernetes && version !== undefined && { kubernetes: ofKubernetes(version, releases, now) }),
    packages: lock ? packageUpdates(lock.packages, packages, rootfs.multistrap.repos) : [],
    images: lock ? imageUpdates(lock.images ?? {}, images) : [],
  };
}

/** Whether there is anything to do; a later minor version alone is nothing. */
export const isOutdated = ({ kubernetes, packages, images }: Outdated): boolean =>
  packages.length + images.length > 0 ||
  kubernetes?.newest !== undefined ||
  kubernetes?.isPastEndOfLife === true;

function ofKubernetes(
  version: string,
  releases: readonly KubernetesRelease[],
  now: Date,
): NonNullable<Outdated['kubernetes']> {
  const minor = version.split('.').slice(0, 2).join('.');
  const own = releases.find((release) => release.minor === minor);
  const isNewer = own !== undefined && compareDebianVersions(own.version, version) > 0;
  const endOfLife = own?.endOfLife;
  return {
    version,
    ...(endOfLife !== undefined && { endOfLife }),
    isPastEndOfLife: endOfLife !== undefined && now.toISOString().slice(0, 10) > endOfLife,
    ...(isNewer && { newest: own.version }),
    later: releases.filter((release) => release !== own),
  };
}

function packageUpdates(
  before: readonly LockedPackage[],
  after: readonly LockedPackage[],
  repos: readonly ResolvedRepository[],
): PackageUpdate[] {
  const [old, current] = [before, after].map((list) => new Map(list.map((one) => [one.name, one])));
  const names = [...new Set([...(old?.keys() ?? []), ...(current?.keys() ?? [])])].sort();
  const suites = new Map(repos.map(({ name, suite }) => [name, suite]));
  return names.flatMap((name): PackageUpdate[] => {
    const [was, is] = [old?.get(name), current?.get(name)];
    // Of the same version, also when the file has changed: the build says so.
    if (was?.version === is?.version) return [];
    return [
      {
        name,
        role: roleOf(name),
        ...(was && { before: was.version }),
        ...(is && { after: is.version }),
        security: /-security(?:\/|$)/.test(suites.get(is?.repository ?? '') ?? ''),
      },
    ];
  });
}

function roleOf(name: string): PackageRole {
  if ((KUBERNETES_PACKAGES as readonly string[]).includes(name)) return 'kubernetes';
  if (/^linux-(?:image|modules)-/.test(name)) return 'kernel';
  return runtimeOf(name) ? 'runtime' : 'other';
}

function imageUpdates(
  before: Readonly<Record<string, string>>,
  after: readonly PinnedImage[],
): ImageUpdate[] {
  const current = new Map(after.map(({ reference, digest }) => [reference, digest]));
  const references = [...new Set([...Object.keys(before), ...current.keys()])].sort();
  return references.flatMap((reference) => {
    const [was, is] = [before[reference], current.get(reference)];
    if (was === is) return [];
    return [{ reference, ...(was !== undefined && { before: was }), ...(is !== undefined && { after: is }) }];
  });
}

// What the stage `rootfs` leaves in the store.
import { join } from 'node:path';
import { factsOf } from '../../pipeline/recorded.ts';
import type { Entry } from '../../store/entry.ts';

/** The packed root file system. */
export const ROOTFS_FILE = 'rootfs.tar';
/** {@link InstalledPackages} as JSON. */
export const PACKAGES_FILE = 'packages.json';

/** The package files that were installed, a list of PackageArchive as JSON. */
export const ARCHIVES_FILE = 'archives.json';

/** What the repositories had, a PackageResolution as JSON; not there when one does not tell hashes, or a lock decided. */
export const RESOLUTION_FILE = 'resolution.json';

/** Versions of what is installed, by package name. */
export type InstalledPackages = Record<string, { version: string; architecture: string }>;

/** Facts of the entry. */
export interface RootfsFacts {
  /** Time stamp of everything in it, in seconds since the epoch. */
  sourceDateEpoch: number;
  packages: InstalledPackages;
}

/** A packed root file system, and what is installed in it. */
export interface PackedRootfs {
  /** Path of the tar. */
  file: string;
  packages: InstalledPackages;
  /** Path of the list of the package files that it was made of. */
  archives: string;
}

/** @throws TypeError for the entry of another stage, or none */
export function readRootfsEntry(entry: Entry | undefined): PackedRootfs {
  const { packages } = factsOf<RootfsFacts>('rootfs', entry);
  const directory = entry?.directory ?? '';
  return { file: join(directory, ROOTFS_FILE), packages, archives: join(directory, ARCHIVES_FILE) };
}

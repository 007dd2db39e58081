// What the stage `rootfs` leaves in the store.
import { join } from 'node:path';
import { factsOf } from '../../pipeline/recorded.ts';
import type { Entry } from '../../store/entry.ts';

/** The packed root file system. */
export const ROOTFS_FILE = 'rootfs.tar';
/** {@link InstalledPackages} as JSON. */
export const PACKAGES_FILE = 'packages.json';

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
}

/** @throws TypeError for the entry of another stage, or none */
export function readRootfsEntry(entry: Entry | undefined): PackedRootfs {
  const { packages } = factsOf<RootfsFacts>('rootfs', entry);
  return { file: join(entry?.directory ?? '', ROOTFS_FILE), packages };
}

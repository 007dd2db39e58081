// Installed versions by source package: each record of a database is looked up, and none is compared with every package.
import type { DiskPackages } from './vulnerability.ts';

/** What is installed on disks of one distribution. */
export interface PackageIndex {
  system: DiskPackages['system'];
  /** Versions by name. */
  index: ReadonlyMap<string, readonly string[]>;
}

/** @param disks of one distribution */
export function indexOf(disks: readonly DiskPackages[], system: DiskPackages['system']): PackageIndex {
  const index = new Map<string, string[]>();
  for (const { packages } of disks)
    for (const { name, version } of packages) {
      const versions = index.get(name) ?? [];
      if (!versions.includes(version)) versions.push(version);
      index.set(name, versions);
    }
  return { system, index };
}

// What the repositories had when packages were chosen: enough to install exactly the same again.
import { newestRelease } from '../../pipeline/epoch.ts';
import type { LockedPackage } from '../../spec/variables/resolved-lock.ts';
import type { PackageFile } from './apt.ts';
import type { ArchiveAccess, ArchiveInputs } from './archive-access.ts';
import { textOfKey } from './keyrings.ts';
import { RootfsError } from './rootfs-error.ts';

/** What the repositories have. */
export interface PackageResolution {
  /** Sorted by name. */
  packages: LockedPackage[];
  /** Keys that do not stand in the spec, by repository. */
  keyrings: Record<string, string>;
  /** Date of the newest repository, in seconds since the epoch. */
  sourceDateEpoch: number;
}

/**
 * @param files what is to be installed
 * @throws RootfsError NOT_LOCKABLE when a repository does not say what it serves
 */
export async function resolutionOf(
  archive: ArchiveAccess,
  files: readonly PackageFile[],
  { distribution, multistrap }: Pick<ArchiveInputs, 'distribution' | 'multistrap'>,
): Promise<PackageResolution> {
  const keyrings: Record<string, string> = {};
  for (const [index, { name, keyring, keyring_pkg }] of multistrap.repos.entries()) {
    const key = archive.keys[index];
    const isKnown = keyring !== undefined || keyring_pkg === distribution.keyring.package;
    if (!isKnown && key !== undefined) keyrings[name] = await textOfKey(key);
  }
  return {
    packages: files.map((file) => lockedPackage(archive, file)).sort((a, b) => (a.name < b.name ? -1 : 1)),
    keyrings,
    sourceDateEpoch: await newestRelease(archive.apt.lists),
  };
}

function lockedPackage(archive: ArchiveAccess, file: PackageFile): LockedPackage {
  const { name, version, architecture, size, sha256 } = file;
  const place = archive.locate(file);
  if (sha256 === undefined || place === undefined) {
    throw new RootfsError('NOT_LOCKABLE', `the repository of ${name} does not provide its SHA-256`);
  }
  const { repository, path } = place;
  return { name, version, architecture, repository: repository.name, path, size, sha256 };
}

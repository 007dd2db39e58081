// Package files that earlier builds have fetched, by their SHA-256.
import { mkdir, readdir, rm, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { throwIfCancelled } from '../../base/diagnostics/cancelled.ts';
import { errnoOf } from '../../base/diagnostics/errno.ts';
import { forgetUnused, linkOrCopy } from '../../base/files/kept-entries.ts';
import { makeBeside } from '../../base/files/replace.ts';
import { digestFile } from '../../store/entry-files.ts';
import type { PackageFile } from './apt.ts';

/** Package files that no build has used for so long are removed. */
const CACHE_DAYS = 30;

/**
 * Puts the files of a plan that earlier builds have fetched where apt looks for them, each after its hash was checked. One
 * that is damaged is removed, so that it is fetched again, and kept then.
 * @param cache directory of package files by hash; may not exist.
 */
export async function takeFromCache(
  cache: string,
  files: readonly PackageFile[],
  archives: string,
  signal: AbortSignal,
): Promise<void> {
  const known = new Set(await readdir(cache).catch(() => []));
  const now = new Date();
  for (const { sha256, file } of files) {
    if (sha256 === undefined || !known.has(sha256)) continue;
    const path = join(cache, sha256);
    // Another build may have just removed it.
    const digest = await digestFile(path, signal).catch((error: unknown) => {
      throwIfCancelled(signal);
      if (errnoOf(error) === undefined) throw error;
      return undefined;
    });
    if (digest !== sha256) {
      await rm(path, { force: true });
      continue;
    }
    await linkOrCopy(path, join(archives, file));
    await utimes(path, now, now);
  }
}

/** Keeps the files of a plan for later builds, and forgets those that nobody has used for {@link CACHE_DAYS} days. */
export async function putIntoCache(
  cache: string,
  files: readonly PackageFile[],
  archives: string,
): Promise<void> {
  await mkdir(cache, { recursive: true });
  const known = new Set(await readdir(cache));
  for (const { sha256, file } of files) {
    if (sha256 === undefined || known.has(sha256)) continue;
    await makeBeside(join(cache, sha256), (temporary) => linkOrCopy(join(archives, file), temporary));
  }
  await forgetUnused(cache, known, CACHE_DAYS);
}

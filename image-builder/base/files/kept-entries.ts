// Caches of a few large entries in a directory that several builds use at the same time.
import { copyFile, link, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { makeBeside, sweepLeftovers } from './replace.ts';

/**
 * Makes an entry, unless another build has made the same meanwhile.
 * @param make as of {@link makeBeside}
 * @throws what `make` throws
 */
export async function makeEntry(path: string, make: (temporary: string) => Promise<void>): Promise<void> {
  try {
    await makeBeside(path, make);
  } catch (error) {
    if (!(await stat(path).catch(() => undefined))) throw error;
  }
}

/** Makes a second name of a file, or a copy where that is impossible; what is there stays. */
export async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return;
    await copyFile(from, to);
  }
}

/**
 * Removes all entries but those that were used last, by the times of their last change, and what killed processes have left.
 * @param isEntry which names are those of entries
 */
export async function keepLastUsed(directory: string, isEntry: RegExp, count: number): Promise<void> {
  await sweepLeftovers(directory);
  const names = (await readdir(directory)).filter((name) => isEntry.test(name));
  const entries = await Promise.all(
    names.map(async (name) => {
      const path = join(directory, name);
      // Another build may have just removed it.
      return { path, used: (await stat(path).catch(() => undefined))?.mtimeMs ?? 0 };
    }),
  );
  entries.sort((a, b) => b.used - a.used);
  for (const { path } of entries.slice(count)) await rm(path, { recursive: true, force: true });
}

/**
 * Removes those entries of `names` that were last changed so many days ago or more, and what killed processes have left.
 * @param names not those that were just made: a link has the time of its file
 */
export async function forgetUnused(directory: string, names: Iterable<string>, days: number): Promise<void> {
  await sweepLeftovers(directory);
  const oldest = Date.now() - days * 24 * 3600 * 1000;
  for (const name of names) {
    const path = join(directory, name);
    // Another build may have just removed it.
    const found = await stat(path).catch(() => undefined);
    if (found && found.mtimeMs < oldest) await rm(path, { force: true });
  }
}

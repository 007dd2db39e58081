// The mark of an entry that the shared store should have and has not: its push has failed. It lies in the entry's
// directory, so that it goes with it; its time stamp says when to try again.
import { rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from '../base/files/replace.ts';
import { type Entry, UNSHARED_FILE } from './entry.ts';

/** Notes that an entry is to be pushed, not before `dueAt`. A store that is only read keeps no notes. */
export async function markUnshared(entry: Entry, dueAt: Date): Promise<void> {
  const mark = join(entry.directory, UNSHARED_FILE);
  await replaceFile(mark, '')
    .then(() => utimes(mark, dueAt, dueAt))
    .catch(() => {});
}

/** Notes that nothing is left to push. */
export async function markShared(entry: Entry): Promise<void> {
  await rm(join(entry.directory, UNSHARED_FILE), { force: true }).catch(() => {});
}

/** Whether it is time to push an entry that could not be pushed before. */
export async function isPushDue(entry: Entry): Promise<boolean> {
  const mark = await stat(join(entry.directory, UNSHARED_FILE)).catch(() => undefined);
  return mark !== undefined && mark.mtimeMs <= Date.now();
}

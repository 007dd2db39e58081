// Gets damaged entries out of the way: they are built again as if they had never been there.
import { acquireLock } from '../base/locking/file-lock.ts';
import { checkEntry, type EntryId, entryName, readEntry, removeEntry } from '../store/entry.ts';
import { CorruptEntryError } from '../store/errors.ts';
import { type Store, storePath } from '../store/store.ts';

/** Damaged entries that are replaced before a build gives up: the disk itself is failing then. */
const MAX_REPAIRS = 3;

/** Does the work, and does it again without the entries that turn out to be damaged when their bytes are read. */
export async function withRepairs<T>(
  store: Store,
  ids: readonly EntryId[],
  trash: string,
  work: () => Promise<T>,
): Promise<T> {
  for (let repairs = 0; ; repairs += 1) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof CorruptEntryError) || repairs === MAX_REPAIRS) throw error;
      const damaged = ids.find((id) => entryName(id) === error.entry);
      if (damaged) await dropIfDamaged(store, damaged, trash);
    }
  }
}

/** Removes an entry unless somebody has replaced it meanwhile by a good one. */
async function dropIfDamaged(store: Store, id: EntryId, trash: string): Promise<void> {
  const lock = await acquireLock(storePath(store, 'locks', entryName(id)));
  try {
    const entry = await readEntry(store, id);
    if (entry) await checkEntry(entry, 'full');
  } catch (error) {
    if (!(error instanceof CorruptEntryError)) throw error;
    await removeEntry(store, entryName(id), trash);
  } finally {
    await lock.release();
  }
}

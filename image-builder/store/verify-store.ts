// Reads everything in the store and says what is damaged.

import { readdir } from 'node:fs/promises';
import { errnoOf } from '../base/diagnostics/errno.ts';
import { entryName, readEntry, readEveryByte } from './entry.ts';
import { CorruptEntryError, storeFailure } from './errors.ts';
import { type Store, storePath } from './store.ts';

/** What {@link verifyStore} found of one entry. */
export interface Verdict {
  name: string;
  /** What is wrong; absent when the entry is good. */
  problem?: string;
}

/** Checks every byte of every entry, one after the other. */
export async function* verifyStore(store: Store, signal?: AbortSignal): AsyncGenerator<Verdict> {
  const names = await readdir(storePath(store, 'entries')).catch((error) => {
    if (errnoOf(error) === 'ENOENT') return [];
    throw storeFailure(error, 'list the entries', store.directory);
  });
  for (const name of names.sort()) {
    try {
      const separator = name.lastIndexOf('-');
      const id = { kind: name.slice(0, separator), key: name.slice(separator + 1) };
      const entry = await readEntry(store, id);
      if (!entry || entryName(entry) !== name) {
        yield { name, problem: 'this is not an entry' };
        continue;
      }
      await readEveryByte(entry, signal);
      yield { name };
    } catch (error) {
      if (!(error instanceof CorruptEntryError)) throw error;
      yield { name, problem: error.message };
    }
  }
}

// Finds entries by what people call them: the name of a build, or the beginning of a key.

import { readHistory } from './build-history.ts';
import { type Entry, listEntries, readEntry } from './entry.ts';
import { StoreError } from './errors.ts';
import { isOwn } from './origin.ts';
import type { Store } from './store.ts';

/** A key or its beginning, with or without the kind, as `store ls` prints it. */
const KEY = /^(?:([a-z][a-z-]*)-)?([0-9a-f]{8,64})$/;

/**
 * The only entry whose key begins like that; undefined when the text is no key.
 * @param kind what the entry must be, when the text does not say
 * @throws StoreError STORE_ENTRY_MISSING when there is none, or more than one
 */
export async function findByKey(store: Store, text: string, kind?: string): Promise<Entry | undefined> {
  const [, givenKind = kind, key] = KEY.exec(text) ?? [];
  if (key === undefined) return undefined;
  const found = (await listEntries(store)).filter(
    (entry) => entry.key.startsWith(key) && (givenKind === undefined || entry.kind === givenKind),
  );
  if (found.length === 1) return found[0];
  throw missing(
    found.length === 0
      ? `the store ${store.directory} has no ${givenKind ?? 'entry'} with the key ${text}`
      : `${found.length} entries of the store have a key that begins with ${text}`,
  );
}

/**
 * The bundle of the newest build of a name, or of an earlier one.
 * @param back how many builds before the newest
 * @throws StoreError STORE_ENTRY_MISSING
 */
export async function findBuild(store: Store, name: string, back = 0): Promise<Entry> {
  const record = (await readHistory(store, name, back + 1))[back];
  const key = record?.stages.bundle?.key;
  if (key === undefined) {
    throw missing(`the history of ${name} in ${store.directory} has no build ${back} before its newest`);
  }
  const entry = await readEntry(store, { kind: 'bundle', key });
  // What has taken its place came from elsewhere, and is another build.
  if (!entry?.origin || !isOwn(entry.origin))
    throw missing(`${record?.digest} of ${name} is no longer in the store ${store.directory}`);
  return entry;
}

/** The entry and all that it was made from, as far as the store has it; ancestors first, each once. */
export async function withAncestors(store: Store, entry: Entry): Promise<Entry[]> {
  const found = new Map<string, Entry>();
  const visit = async (one: Entry): Promise<void> => {
    for (const [stage, key] of Object.entries(one.parents)) {
      const kind = stage.split('/')[0] ?? stage;
      if (found.has(key)) continue;
      const parent = await readEntry(store, { kind, key });
      if (parent) await visit(parent);
    }
    found.set(one.key, one);
  };
  await visit(entry);
  return [...found.values()];
}

function missing(message: string): StoreError {
  return new StoreError('STORE_ENTRY_MISSING', message, {
    hint: 'see `image-builder store ls` and `image-builder history NAME`',
  });
}

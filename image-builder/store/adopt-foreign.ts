// Takes entries out of a directory that somebody else's program has written: nothing in it is taken for what it seems
// to be until it has been checked. Links are never followed, and what is not described is left behind.
import { link, lstat, mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { throwIfCancelled } from '../base/diagnostics/cancelled.ts';
import { adoptEntry, type Entry, type EntryRecord, entryName } from './entry.ts';
import { listFiles, verifyFiles } from './entry-files.ts';
import { StoreError } from './errors.ts';
import { DOCUMENT_LIMIT, parseRecord, RECORD_FILE } from './portable.ts';
import type { Store } from './store.ts';

/** An entry that is expected there. */
export interface ExpectedEntry {
  kind: string;
  key: string;
  recipe: string;
  /** Name of the stage. */
  name: string;
}

/**
 * Moves the expected entries that are complete from `entries` into the store, as results of this machine.
 * @param build name of the build that has made them
 * @param known entries of the store whose files they may share: a file with the same digest takes its space once
 * @throws StoreError for an entry that is not what it says
 */
export async function adoptForeign(
  store: Store,
  entries: string,
  expected: readonly ExpectedEntry[],
  { build, known, signal }: { build: string; known: readonly Entry[]; signal: AbortSignal },
): Promise<void> {
  if (!(await isDirectory(entries))) return;
  const names = new Set(await readdir(entries));
  for (const one of expected.filter((entry) => names.has(entryName(entry)))) {
    throwIfCancelled(signal);
    const directory = join(entries, entryName(one));
    // The caller knows better than the record for which stage and build it was made.
    const record = { ...(await readForeign(directory, one, signal)), stage: one.name, build };
    const clean = `${directory}.clean`;
    await mkdir(clean);
    await moveFiles(directory, clean, record, known);
    await writeFile(join(clean, RECORD_FILE), `${JSON.stringify(record, undefined, 1)}\n`);
    await adoptEntry(store, record, clean, 'build');
  }
}

/** The record of an entry whose files are there and right. */
async function readForeign(
  directory: string,
  expected: ExpectedEntry,
  signal: AbortSignal,
): Promise<EntryRecord> {
  const name = entryName(expected);
  if (!(await isDirectory(directory))) throw wrong(name, 'it is not a directory');
  const files = new Set(
    await listFiles(directory).catch((error) => {
      throw wrong(name, (error as Error).message);
    }),
  );
  const path = join(directory, RECORD_FILE);
  if (!files.has(RECORD_FILE) || (await lstat(path)).size > DOCUMENT_LIMIT)
    throw wrong(name, 'it has no record');
  const record = parseRecord(await readFile(path, 'utf8'), name);
  if (record.recipe !== expected.recipe) throw wrong(name, 'its recipe differs');
  const missing = Object.keys(record.files).find((file) => !files.has(file));
  if (missing !== undefined) throw wrong(name, `${missing} is missing`);
  const damage = await verifyFiles(directory, record.files, signal);
  if (damage) throw wrong(name, `${damage.path} ${damage.reason}`);
  return record;
}

/** Moves what the record names; all of it are regular files, and what they lie in are real directories. */
async function moveFiles(
  from: string,
  to: string,
  record: EntryRecord,
  known: readonly Entry[],
): Promise<void> {
  const present = new Map(
    known.flatMap(({ directory, files }) =>
      Object.entries(files).map(([path, { sha256 }]) => [sha256, join(directory, path)] as const),
    ),
  );
  for (const [path, { sha256 }] of Object.entries(record.files)) {
    const target = join(to, path);
    await mkdir(dirname(target), { recursive: true });
    const same = present.get(sha256);
    const isLinked =
      same !== undefined &&
      (await link(same, target).then(
        () => true,
        () => false,
      ));
    if (!isLinked) await rename(join(from, path), target);
  }
}

async function isDirectory(path: string): Promise<boolean> {
  return await lstat(path).then(
    (facts) => facts.isDirectory(),
    () => false,
  );
}

function wrong(name: string, reason: string): StoreError {
  return new StoreError('STORE_ENTRY_CORRUPT', `the entry ${name}, made elsewhere, is refused: ${reason}`);
}

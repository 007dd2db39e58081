// Entries: the result of one stage, complete, with a record of what it was made from and of every byte in it.
import { readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { throwIfCancelled } from '../base/diagnostics/cancelled.ts';
import { errnoOf } from '../base/diagnostics/errno.ts';
import { replaceFile } from '../base/files/replace.ts';
import {
  type FileRecord,
  looksUntouched,
  recordFiles,
  type Snapshot,
  snapshot,
  verifyFiles,
} from './entry-files.ts';
import { CorruptEntryError, storeFailure } from './errors.ts';
import { isOwn, ORIGIN_FILE, type Origin, readOrigin } from './origin.ts';
import { type Store, storePath } from './store.ts';

/** Which entry: the kind of stage that makes it and the hash of everything that it depends on. */
export interface EntryId {
  /** `rootfs`, `osconfig`, `qcow`, ... */
  kind: string;
  /** Hex SHA-256. */
  key: string;
}

/** What an entry was made from; written into it. */
export interface Provenance extends EntryId {
  /** Hash of the inputs without the versions of the tools: finds the entry on a machine that has none. */
  recipe: string;
  /** Name of the stage in the build that made it: `qcow/control-plane`. */
  stage: string;
  /** Name of the build that made it. */
  build: string;
  /** Versions of the tools that influence its bytes. */
  tools: Readonly<Record<string, string>>;
  /** Keys of the entries that it was made from, by stage. */
  parents: Readonly<Record<string, string>>;
  /** The canonical inputs of the stage itself. */
  inputs: unknown;
  /** What the stage found out and later stages want to know. */
  facts: Readonly<Record<string, unknown>>;
}

/** `entry.json`. */
export interface EntryRecord extends Provenance {
  /** When it was made (ISO 8601), for people and the collector. */
  createdAt: string;
  /** Wall time that it took. */
  seconds: number;
  /** Every file by its path, with its digest. */
  files: Record<string, FileRecord>;
}

/** An entry of the store. */
export interface Entry extends EntryRecord {
  /** Absolute path of its directory. */
  directory: string;
  /** Who vouches for it; absent in entries of releases that did not note it. */
  origin?: Origin;
}

const RECORD_FILE = 'entry.json';
/** Size and time stamps of the files when they were last known to be right; may be absent. */
const SNAPSHOT_FILE = 'snapshot.json';

/** The name of an entry in the store, in locks and as the tag in a registry. */
export function entryName(id: EntryId): string {
  return `${id.kind}-${id.key}`;
}

/** Reads an entry without looking at its files. */
export async function readEntry(store: Store, id: EntryId): Promise<Entry | undefined> {
  return await readNamed(store, entryName(id));
}

/** All entries of the store; unreadable ones are left out. */
export async function listEntries(store: Store): Promise<Entry[]> {
  const names = await readdir(storePath(store, 'entries')).catch((error) => {
    if (errnoOf(error) === 'ENOENT') return [];
    throw storeFailure(error, 'list the entries', store.directory);
  });
  const entries: Entry[] = [];
  for (const name of names.sort()) {
    const entry = await readNamed(store, name).catch(() => undefined);
    if (entry) entries.push(entry);
  }
  return entries;
}

async function readNamed(store: Store, name: string): Promise<Entry | undefined> {
  const directory = storePath(store, 'entries', name);
  let text: string;
  try {
    // Synchronous: a render reads a dozen small files, and each would cost ten times as much by Node's threads.
    text = readFileSync(join(directory, RECORD_FILE), 'utf8');
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOTDIR') return undefined;
    if (errno !== 'ENOENT') throw storeFailure(error, `read the entry ${name}`, store.directory);
    if (await stat(directory).catch(() => undefined)) {
      throw new CorruptEntryError(name, `the entry ${name} has lost its record`);
    }
    return undefined;
  }
  try {
    const record: EntryRecord = JSON.parse(text);
    if (entryName(record) === name && typeof record.files === 'object') {
      const origin = await readOrigin(directory);
      return { ...record, directory, ...(origin && { origin }) };
    }
  } catch (error) {
    throw new CorruptEntryError(name, `the record of the entry ${name} is damaged`, { cause: error });
  }
  throw new CorruptEntryError(name, `the record of the entry ${name} belongs to another entry`);
}

/** How closely {@link checkEntry} looks. */
export type CheckDepth =
  /** Files whose size, time stamp and inode are as noted are believed; others are read and their digest compared. */
  | 'quick'
  /** Every byte is read. */
  | 'full';

/**
 * Makes sure that the files of an entry are those that were recorded.
 * @throws CorruptEntryError naming the first file that is not
 */
export async function checkEntry(entry: Entry, depth: CheckDepth, signal?: AbortSignal): Promise<void> {
  const known = depth === 'quick' ? await readSnapshot(entry) : undefined;
  if (known && looksUntouched(entry.directory, entry.files, known)) return;
  await readEveryByte(entry, signal);
  await writeSnapshot(entry.directory, snapshot(entry.directory, entry.files));
}

/**
 * Looks at all of an entry that nobody needs now: unlike {@link checkEntry} it leaves no trace that would count as a use.
 * @throws CorruptEntryError naming the first file that is not the one that was recorded
 */
export async function readEveryByte(entry: Entry, signal?: AbortSignal): Promise<void> {
  const wrong = await verifyFiles(entry.directory, entry.files, signal);
  if (wrong) {
    // Whoever looks next must not believe the time stamps.
    await rm(join(entry.directory, SNAPSHOT_FILE), { force: true }).catch(() => {});
    throw new CorruptEntryError(entryName(entry), `${join(entry.directory, wrong.path)} ${wrong.reason}`);
  }
}

/**
 * Moves the finished files in `outputDir` into the store as one entry. Whoever looks sees all of it or nothing.
 * The same entry may have appeared meanwhile (a store without working locks): then that one stays.
 * @param known digests that the stage has computed already, by path
 */
export async function commitEntry(
  store: Store,
  provenance: Provenance,
  outputDir: string,
  options: { seconds: number; known?: Readonly<Record<string, string>>; signal?: AbortSignal },
): Promise<Entry> {
  try {
    const files = await recordFiles(outputDir, options.known, options.signal);
    const record: EntryRecord = {
      ...provenance,
      createdAt: new Date().toISOString(),
      seconds: Math.round(options.seconds * 1000) / 1000,
      files,
    };
    await writeFile(join(outputDir, RECORD_FILE), `${JSON.stringify(record, undefined, 1)}\n`);
    await writeSnapshot(outputDir, snapshot(outputDir, files));
    throwIfCancelled(options.signal);
    return await place(store, record, outputDir, 'build');
  } catch (error) {
    throwIfCancelled(options.signal);
    throw storeFailure(error, `keep the result of ${provenance.stage}`, store.directory);
  }
}

/**
 * Makes an entry of a directory that holds its files and its record, all of them checked: one that another store made.
 * @param origin who vouches for it
 * @throws StoreError when the store cannot be written
 */
export async function adoptEntry(
  store: Store,
  record: EntryRecord,
  directory: string,
  origin: Origin,
): Promise<Entry> {
  try {
    await writeSnapshot(directory, snapshot(directory, record.files));
    return await place(store, record, directory, origin);
  } catch (error) {
    throw storeFailure(error, `keep ${entryName(record)}`, store.directory);
  }
}

async function place(store: Store, record: EntryRecord, outputDir: string, origin: Origin): Promise<Entry> {
  const directory = storePath(store, 'entries', entryName(record));
  await mkdir(storePath(store, 'entries'), { recursive: true });
  await writeFile(join(outputDir, ORIGIN_FILE), `${origin}\n`);
  const isPlaced =
    (await tryRename(outputDir, directory)) || (await replaceForeign(store, record, outputDir));
  if (!isPlaced) await rm(outputDir, { recursive: true, force: true });
  await pointRecipe(store, record, origin);
  return { ...record, directory, origin: isPlaced ? origin : ((await readOrigin(directory)) ?? origin) };
}

/** An entry whose origin this build does not believe is replaced. */
async function replaceForeign(store: Store, record: EntryRecord, outputDir: string): Promise<boolean> {
  const name = entryName(record);
  const present = await readNamed(store, name).catch(() => undefined);
  if (present?.origin && store.believes(present.origin)) return false;
  await removeEntry(store, name, dirname(outputDir));
  return await tryRename(outputDir, storePath(store, 'entries', name));
}

/** @returns false when something is there */
async function tryRename(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOTEMPTY' || errnoOf(error) === 'EEXIST') return false;
    throw error;
  }
}

/** Entries of a recipe that came from elsewhere and are kept in mind. */
const FOREIGN_KEPT = 8;

/** The keys of the entries that a recipe gave, the newest first; those that were made here come before all others. */
export async function keysOfRecipe(store: Store, kind: string, recipe: string): Promise<string[]> {
  const keys = await Promise.all(
    [true, false].map((own) => readPointer(pointerOf(store, kind, recipe, own))),
  );
  return keys.flat();
}

/** Notes which entry a recipe gave last. What comes from elsewhere pushes nothing aside that was made here. */
async function pointRecipe(store: Store, { kind, recipe, key }: Provenance, origin: Origin): Promise<void> {
  const own = isOwn(origin);
  const pointer = pointerOf(store, kind, recipe, own);
  const others = own ? [] : (await readPointer(pointer)).filter((other) => other !== key);
  await replaceFile(pointer, [key, ...others].slice(0, FOREIGN_KEPT).join('\n'));
}

const pointerOf = (store: Store, kind: string, recipe: string, own: boolean) =>
  storePath(store, 'recipes', `${kind}-${recipe}${own ? '' : '.foreign'}`);

async function readPointer(path: string): Promise<string[]> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text.split('\n').filter((key) => key !== '');
}

/** Takes an entry out of the store, again as a whole: it is renamed first, into `trash` on the same file system. */
export async function removeEntry(store: Store, name: string, trash: string): Promise<void> {
  try {
    const doomed = join(trash, `removed-${crypto.randomUUID()}`);
    await rename(storePath(store, 'entries', name), doomed);
    await rm(doomed, { recursive: true, force: true });
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw storeFailure(error, `remove the entry ${name}`, store.directory);
  }
}

/** Notes the state of an entry's files after they were read or linked, so that the next quick check is quick. */
async function writeSnapshot(directory: string, known: Snapshot): Promise<void> {
  // Only a hint: a store that cannot be written is read all the same.
  try {
    await replaceFile(join(directory, SNAPSHOT_FILE), JSON.stringify(known));
  } catch (error) {
    if (errnoOf(error) === 'ENOSPC' || errnoOf(error) === 'EDQUOT') throw error;
  }
}

async function readSnapshot(entry: Entry): Promise<Snapshot | undefined> {
  try {
    return JSON.parse(readFileSync(join(entry.directory, SNAPSHOT_FILE), 'utf8'));
  } catch {
    return undefined;
  }
}

/** See unshared.ts. */
export const UNSHARED_FILE = 'unshared';

/** Files of an entry's directory that are about the entry itself. */
export const BOOKKEEPING: ReadonlySet<string> = new Set([
  RECORD_FILE,
  SNAPSHOT_FILE,
  UNSHARED_FILE,
  ORIGIN_FILE,
]);

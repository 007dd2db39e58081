// Takes entries out of an archive that `store export` has written. Nothing of it gets into the store before all of it
// was read and found to be what its records say.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Header } from 'tar-stream';
import { throwIfCancelled } from '../base/diagnostics/cancelled.ts';
import { errnoOf } from '../base/diagnostics/errno.ts';
import { acquireLock } from '../base/locking/file-lock.ts';
import { adoptEntry, checkEntry, type EntryRecord, entryName, readEntry, removeEntry } from './entry.ts';
import { CorruptEntryError, StoreError, storeFailure } from './errors.ts';
import { isOwn } from './origin.ts';
import { DOCUMENT_LIMIT, invalid, LIST_FILE, parseList, parseRecord, RECORD_FILE } from './portable.ts';
import { prepareStore, type Store, storePath } from './store.ts';
import { createWorkspace, treeRemover } from './workspace.ts';

/** What was done with an entry of the archive. */
export interface ImportedEntry {
  name: string;
  /** `present`: the store had it already, undamaged. */
  outcome: 'imported' | 'present';
}

/**
 * Imports all entries of an archive.
 * @param sha256 what the archive must have, in hex: an entry can only be trusted as far as the archive is
 * @throws StoreError STORE_ARCHIVE_INVALID, and nothing was imported
 */
export async function importEntries(
  store: Store,
  path: string,
  options: { sha256?: string; signal: AbortSignal },
): Promise<ImportedEntry[]> {
  await prepareStore(store);
  const workspace = await createWorkspace(store, treeRemover());
  try {
    const records = await unpack(path, workspace.directory, options);
    const imported: ImportedEntry[] = [];
    for (const record of records) {
      imported.push(await adopt(store, record, workspace.directory, options.signal));
    }
    return imported;
  } finally {
    await workspace.dispose();
  }
}

/** Unpacks into `<directory>/<entry>/`; returns the records, all of whose files are there and right. */
async function unpack(
  path: string,
  directory: string,
  { sha256, signal }: { sha256?: string; signal: AbortSignal },
): Promise<EntryRecord[]> {
  const { extract } = await import('tar-stream');
  const hash = createHash('sha256');
  const hashed = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
  const entries = extract();
  const reader = new ArchiveReader(directory, signal);
  // A value, not a rejection: the iteration may find out first.
  const feeding = pipeline(createReadStream(path), hashed, entries, { signal }).catch((error) => ({ error }));
  try {
    for await (const entry of entries) await reader.read(entry.header, entry);
    const fed = await feeding;
    if (fed) throw fed.error;
  } catch (error) {
    entries.destroy();
    await feeding;
    throwIfCancelled(signal);
    if (error instanceof StoreError) throw error;
    if (errnoOf(error) !== undefined) throw storeFailure(error, `import ${path}`, directory);
    throw invalid(`it is not a complete tar (${(error as Error).message})`, error);
  }
  const digest = hash.digest('hex');
  if (sha256 !== undefined && digest !== sha256.toLowerCase())
    throw invalid(`it has the SHA-256 ${digest}, not ${sha256}`);
  return reader.finish();
}

class ArchiveReader {
  readonly #directory: string;
  readonly #signal: AbortSignal;
  #expected: string[] | undefined;
  readonly #records: EntryRecord[] = [];
  /** Paths of the entry that is being read which have not come yet. */
  #missing = new Set<string>();

  constructor(directory: string, signal: AbortSignal) {
    this.#directory = directory;
    this.#signal = signal;
  }

  async read(header: Header, content: AsyncIterable<unknown>): Promise<void> {
    const { name, type } = header;
    if (type !== 'file') throw invalid(`${JSON.stringify(name)} is a ${type}, not a file`);
    if (!this.#expected) {
      if (name !== LIST_FILE) throw invalid(`it does not begin with ${LIST_FILE}`);
      this.#expected = parseList(await readDocument(content)).entries;
      return;
    }
    const current = this.#records.at(-1);
    const isComplete = this.#missing.size === 0;
    const next = this.#expected[this.#records.length];
    if (isComplete && next !== undefined && name === `entries/${next}/${RECORD_FILE}`) {
      const text = await readDocument(content);
      const record = parseRecord(text, next);
      this.#records.push(record);
      this.#missing = new Set(Object.keys(record.files));
      await mkdir(join(this.#directory, next));
      await writeFile(join(this.#directory, next, RECORD_FILE), text);
      return;
    }
    const prefix = current && `entries/${entryName(current)}/`;
    const path = prefix && name.startsWith(prefix) ? name.slice(prefix.length) : undefined;
    if (!current || path === undefined || !this.#missing.delete(path))
      throw invalid(`${JSON.stringify(name)} is not the expected next file`);
    await this.#writeFile(current, path, content);
  }

  /** @throws StoreError when something has not come */
  finish(): EntryRecord[] {
    const [lacking] = this.#missing;
    if (lacking !== undefined) throw invalid(`${lacking} is missing`);
    if (!this.#expected || this.#records.length !== this.#expected.length)
      throw invalid(`${this.#expected?.[this.#records.length] ?? LIST_FILE} is missing`);
    return this.#records;
  }

  async #writeFile(record: EntryRecord, path: string, content: AsyncIterable<unknown>): Promise<void> {
    const expected = record.files[path];
    const hash = createHash('sha256');
    const target = join(this.#directory, entryName(record), path);
    await mkdir(dirname(target), { recursive: true });
    const file = await open(target, 'wx', 0o644);
    let size = 0;
    try {
      for await (const chunk of content as AsyncIterable<Buffer>) {
        throwIfCancelled(this.#signal);
        size += chunk.length;
        // Not a byte more than was announced reaches the disk.
        if (size > (expected?.size ?? 0)) throw invalid(`${path} is larger than its record says`);
        hash.update(chunk);
        await file.writev([chunk]);
      }
    } finally {
      await file.close();
    }
    if (size !== expected?.size || hash.digest('hex') !== expected.sha256)
      throw invalid(`${path} of ${entryName(record)} does not match its record`);
  }
}

async function readDocument(content: AsyncIterable<unknown>): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of content as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > DOCUMENT_LIMIT) throw invalid(`a document has more than ${DOCUMENT_LIMIT} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Moves an unpacked entry into the store, unless it has a good one. */
async function adopt(
  store: Store,
  record: EntryRecord,
  directory: string,
  signal: AbortSignal,
): Promise<ImportedEntry> {
  const name = entryName(record);
  const lock = await acquireLock(storePath(store, 'locks', name), { signal });
  try {
    if (await isPresent(store, record, signal)) return { name, outcome: 'present' };
    await removeEntry(store, name, directory);
    await adoptEntry(store, record, join(directory, name), 'import');
    return { name, outcome: 'imported' };
  } finally {
    await lock.release();
  }
}

async function isPresent(store: Store, record: EntryRecord, signal: AbortSignal): Promise<boolean> {
  try {
    const entry = await readEntry(store, record);
    if (!entry?.origin || !isOwn(entry.origin)) return false;
    await checkEntry(entry, 'full', signal);
    return true;
  } catch (error) {
    if (error instanceof CorruptEntryError) return false;
    throw error;
  }
}

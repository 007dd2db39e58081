// Writes entries into one file that another store can import.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, lstat, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { throwIfCancelled } from '../base/diagnostics/cancelled.ts';
import { errnoOf } from '../base/diagnostics/errno.ts';
import { drained } from '../base/drained.ts';
import { writeBeside } from '../base/files/replace.ts';
import { type Entry, entryName } from './entry.ts';
import { CorruptEntryError, storeFailure } from './errors.ts';
import { type ExportList, LIST_FILE, RECORD_FILE } from './portable.ts';

/** What was written. */
export interface ExportResult {
  /** Names of the entries. */
  entries: string[];
  /** Hex SHA-256 of the archive. */
  sha256: string;
  /** Bytes of the archive. */
  size: number;
}

/**
 * Writes the archive, which appears by rename. The same entries give the same bytes.
 * @throws CorruptEntryError when a file is not as recorded
 */
export async function exportEntries(
  entries: readonly Entry[],
  path: string,
  signal: AbortSignal,
): Promise<ExportResult> {
  const { pack: createPack } = await import('tar-stream');
  const pack = createPack();
  const list: ExportList = { format: 1, entries: entries.map(entryName) };
  const fill = async () => {
    pack.entry(header(LIST_FILE), JSON.stringify(list));
    for (const entry of entries) await packEntry(entry, pack, signal);
    pack.finalize();
  };
  try {
    const filling = fill().catch((error) => {
      pack.destroy(error);
      throw error;
    });
    const [archive] = await writeBeside(path, (file) => Promise.all([drain(pack, file, signal), filling]));
    return { entries: list.entries, ...archive };
  } catch (error) {
    throwIfCancelled(signal);
    if (errnoOf(error) === undefined) throw error;
    throw storeFailure(error, `write ${path}`, dirname(path));
  }
}

/** Writes the archive to a new file, hashing it on the way. */
async function drain(
  pack: Pack,
  file: FileHandle,
  signal: AbortSignal,
): Promise<{ sha256: string; size: number }> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of pack as AsyncIterable<Buffer>) {
    throwIfCancelled(signal);
    hash.update(chunk);
    size += chunk.length;
    await file.writev([chunk]);
  }
  return { sha256: hash.digest('hex'), size };
}

type Pack = ReturnType<typeof import('tar-stream').pack>;

async function packEntry(entry: Entry, pack: Pack, signal: AbortSignal): Promise<void> {
  const name = entryName(entry);
  const record = await readFile(join(entry.directory, RECORD_FILE));
  pack.entry(header(`entries/${name}/${RECORD_FILE}`), record);
  for (const [path, { size, sha256 }] of Object.entries(entry.files)) {
    const file = join(entry.directory, path);
    // What the record does not say would make an archive that nobody takes, or never finish it.
    const found = await lstat(file).catch(() => undefined);
    if (!found?.isFile() || found.size !== size) throw damaged(name, file);
    const sink = pack.entry({ ...header(`entries/${name}/${path}`), size });
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(file, { highWaterMark: BLOCK }) as AsyncIterable<Buffer>) {
      throwIfCancelled(signal);
      hash.update(chunk);
      if (!sink.write(chunk)) await drained(sink);
    }
    sink.end(null);
    if (hash.digest('hex') !== sha256) throw damaged(name, file);
  }
}

const BLOCK = 1 << 20;

function damaged(name: string, file: string): CorruptEntryError {
  return new CorruptEntryError(name, `${file} is damaged`, { hint: 'the next build replaces it' });
}

function header(name: string): { name: string; mode: number; mtime: Date } {
  return { name, mode: 0o644, mtime: new Date(0) };
}

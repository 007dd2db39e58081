// The format of exported entries: a tar (POSIX pax) with `export.json` first, then for each entry its `entry.json` and
// its files in the order of their names:
//
//   export.json                       {"format": 1, "entries": ["bundle-<key>", ...]}
//   entries/<kind>-<key>/entry.json   the record, with size and SHA-256 of every file
//   entries/<kind>-<key>/<path>
//
// Reading is strict: an archive comes from somewhere else.

import { isRecord } from '../base/record.ts';
import { BOOKKEEPING, type EntryRecord, entryName } from './entry.ts';
import { StoreError } from './errors.ts';

/** `export.json`. */
export interface ExportList {
  format: 1;
  /** Names of the entries, in the order of the archive. */
  entries: string[];
}

export const LIST_FILE = 'export.json';
export const RECORD_FILE = 'entry.json';

/** Documents of an archive are no larger (bytes). */
export const DOCUMENT_LIMIT = 64 << 20;

const ENTRY_NAME = /^[a-z][a-z-]{0,30}-[0-9a-f]{64}$/;
const SHA256 = /^[0-9a-f]{64}$/;

/** @throws StoreError STORE_ARCHIVE_INVALID */
export function parseList(text: string): ExportList {
  const list = parseJson(text, LIST_FILE);
  if (list.format !== 1) throw invalid(`its format is ${JSON.stringify(list.format)}, expected 1`);
  const { entries } = list;
  if (!Array.isArray(entries) || !entries.every((name) => typeof name === 'string' && ENTRY_NAME.test(name)))
    throw invalid(`${LIST_FILE} lists an invalid entry`);
  if (new Set(entries).size !== entries.length) throw invalid(`${LIST_FILE} lists an entry twice`);
  return { format: 1, entries };
}

/**
 * The record of the entry `name`. What becomes part of a path is checked; inputs and facts are data.
 * @throws StoreError STORE_ARCHIVE_INVALID
 */
export function parseRecord(text: string, name: string): EntryRecord {
  const record = parseJson(text, `the record of ${name}`);
  const { kind, key, recipe, stage, build, tools, parents, facts, files } = record;
  if (typeof kind !== 'string' || typeof key !== 'string' || entryName({ kind, key }) !== name)
    throw invalid(`the record of ${name} belongs to another entry`);
  if (typeof recipe !== 'string' || !SHA256.test(recipe)) throw invalid(`${name} has no recipe`);
  if (typeof stage !== 'string' || typeof build !== 'string')
    throw invalid(`${name} does not record its stage`);
  if (![tools, parents, facts, files].every(isRecord)) throw invalid(`the record of ${name} is incomplete`);
  for (const [path, file] of Object.entries(files as Record<string, unknown>)) {
    checkPath(path, name);
    const { size, sha256 } = isRecord(file) ? file : {};
    if (!Number.isSafeInteger(size) || (size as number) < 0 || !SHA256.test(String(sha256)))
      throw invalid(`${name} does not record size and digest of ${JSON.stringify(path)}`);
  }
  return record as unknown as EntryRecord;
}

/** Paths stay below the entry and leave its own documents alone. */
function checkPath(path: string, name: string): void {
  const segments = path.split('/');
  const isPlain = segments.every((segment) => /^[^\p{Cc}\\]+$/u.test(segment) && !/^\.\.?$/.test(segment));
  if (!isPlain || BOOKKEEPING.has(path) || path.startsWith('.'))
    throw invalid(`${name} has a file named ${JSON.stringify(path)}`);
}

/** An archive that is not what `store export` writes. */
export function invalid(reason: string, cause?: unknown): StoreError {
  return new StoreError('STORE_ARCHIVE_INVALID', `the archive is refused: ${reason}`, {
    cause,
    hint: 'nothing was taken from it; export it again with `image-builder store export`',
  });
}

function parseJson(text: string, what: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(`${what} is not JSON`, error);
  }
  if (!isRecord(value)) throw invalid(`${what} must be an object`);
  return value;
}

// The documents of a database: one JSON file, alone or compressed by gzip, a ZIP archive of them, or a directory.
import { type FileHandle, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { invalidInput } from '../base/diagnostics/error.ts';
import { isRecord } from '../base/record.ts';
import { hitsOfTracker, isTrackerData } from './debian-tracker.ts';
import { parseDocument } from './fields.ts';
import { type Hit, hitsOfOsv } from './osv.ts';
import type { PackageIndex } from './package-index.ts';
import { ScanError } from './scan-error.ts';
import { filesOfZip, isZip } from './zip.ts';

/** The data of Debian's tracker have 70 MiB; more than this is no text that JavaScript can hold. Bytes. */
const FILE_LIMIT = 384 * 1024 * 1024;
/** A record of one vulnerability. Bytes. */
const RECORD_LIMIT = 32 * 1024 * 1024;
/** All records together; those of Debian have less than one. Bytes. */
const TOTAL_LIMIT = 16 * 1024 * 1024 * 1024;

/** What a database says of the installed packages. */
export interface DatabaseAnswer {
  hits: Hit[];
  /** How many of its records are about the distribution. */
  records: number;
}

/**
 * Asks a database.
 * @param path file or directory
 * @throws ScanError; InvalidInputError for what cannot be read
 */
export async function askDatabase(path: string, index: PackageIndex): Promise<DatabaseAnswer> {
  const answer: DatabaseAnswer = { hits: [], records: 0 };
  let bytes = 0;
  for await (const { name, content } of documentsIn(path)) {
    bytes += content.length;
    if (bytes > TOTAL_LIMIT) throw tooLarge(path, TOTAL_LIMIT);
    const { hits, records } = askDocument(parseDocument(content, name), index, name);
    // Not by spreading: a document may have more than a call takes arguments.
    for (const hit of hits) answer.hits.push(hit);
    answer.records += records;
  }
  if (answer.records > 0) return answer;
  const { id, version, codename } = index.system;
  throw new ScanError(
    'SCAN_DATABASE_FOREIGN',
    `${path} says nothing about ${id} ${version}${codename === undefined ? '' : ` (${codename})`}`,
    {
      hint: 'Give the records of its ecosystem (OSV: Debian/all.zip), or the data of Debian’s security tracker.',
    },
  );
}

/** A record of OSV, several of them, or the data of Debian's tracker. */
function askDocument(document: unknown, index: PackageIndex, where: string): DatabaseAnswer {
  if (isRecord(document) && !('affected' in document) && isTrackerData(document))
    return hitsOfTracker(document, index, where);
  const answer: DatabaseAnswer = { hits: [], records: 0 };
  for (const record of Array.isArray(document) ? document : [document]) {
    if (!isRecord(record) || typeof record.id !== 'string')
      throw new ScanError(
        'SCAN_INPUT_INVALID',
        `${where} is neither a record of OSV nor data of Debian’s tracker`,
      );
    const hits = hitsOfOsv(record, index, where);
    if (!hits) continue;
    answer.records += 1;
    for (const hit of hits) answer.hits.push(hit);
  }
  return answer;
}

async function* documentsIn(path: string): AsyncGenerator<{ name: string; content: Buffer }> {
  const names = await readdir(path, { recursive: true, withFileTypes: true }).catch((error) => {
    if (error.code === 'ENOTDIR') return undefined;
    throw unreadable(path, error, '--database');
  });
  if (names === undefined) yield* documentsOfFile(path);
  else
    for (const entry of names.filter((one) => one.isFile() && one.name.endsWith('.json')))
      yield* documentsOfFile(join(entry.parentPath, entry.name));
}

async function* documentsOfFile(path: string): AsyncGenerator<{ name: string; content: Buffer }> {
  const file = await open(path).catch((error) => {
    throw unreadable(path, error, '--database');
  });
  try {
    const head = await headOf(file);
    if (isZip(head)) yield* filesOfZip(file, path, { suffix: '.json', limit: RECORD_LIMIT });
    else yield { name: path, content: await readWhole(file, path) };
  } finally {
    await file.close();
  }
}

/**
 * Reads one JSON document, which may be compressed by gzip.
 * @param option that has named it, for errors
 * @throws ScanError; InvalidInputError when it cannot be read
 */
export async function readDocument(path: string, option: string): Promise<Buffer> {
  const file = await open(path).catch((error) => {
    throw unreadable(path, error, option);
  });
  try {
    return await readWhole(file, path);
  } finally {
    await file.close();
  }
}

async function headOf(file: FileHandle): Promise<Buffer> {
  const head = Buffer.alloc(4);
  await file.read(head, 0, head.length, 0);
  return head;
}

async function readWhole(file: FileHandle, path: string): Promise<Buffer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of file.createReadStream({ start: 0, autoClose: false })) {
    bytes += part.length;
    if (bytes > FILE_LIMIT) throw tooLarge(path, FILE_LIMIT);
    parts.push(part);
  }
  const content = Buffer.concat(parts);
  if (content[0] !== 0x1f || content[1] !== 0x8b) return content;
  try {
    return gunzipSync(content, { maxOutputLength: FILE_LIMIT });
  } catch (cause) {
    if ((cause as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(path, FILE_LIMIT);
    throw new ScanError('SCAN_INPUT_INVALID', `${path} is damaged: ${(cause as Error).message}`, { cause });
  }
}

const tooLarge = (path: string, limit: number) =>
  new ScanError('SCAN_INPUT_TOO_LARGE', `${path} has more than ${limit / 1024 / 1024} MiB`);

const unreadable = (path: string, cause: Error, option: string) =>
  invalidInput(option, `${path} cannot be read: ${cause.message}`, { cause });

// Reads ZIP archives as OSV publishes its databases (APPNOTE 6.3.10; ZIP64 for more than 65535 files): the directory at the
// end of the file, then each file by itself, so that memory holds one of them.
import type { FileHandle } from 'node:fs/promises';
import { inflateRawSync } from 'node:zlib';
import { ScanError } from './scan-error.ts';

/** A file in an archive. */
interface ZipEntry {
  name: string;
  method: number;
  compressed: number;
  size: number;
  offset: number;
}

/** Bytes; that of all of Debian's records has 10 MiB. */
const DIRECTORY_LIMIT = 256 * 1024 * 1024;
/** Of the record at the end with the longest comment. */
const END_LIMIT = 22 + 0xffff;
const MOST_ENTRIES = 1_000_000;

const UNKNOWN_32 = 0xffffffff;
const UNKNOWN_16 = 0xffff;

/** Whether a file is an archive, by its first bytes. */
export const isZip = (head: Uint8Array): boolean =>
  head[0] === 0x50 && head[1] === 0x4b && (head[2] === 3 || head[2] === 5);

/**
 * The files of an archive whose names end in `suffix`, in its order.
 * @param limit bytes that one of them may have
 * @throws ScanError
 */
export async function* filesOfZip(
  file: FileHandle,
  where: string,
  { suffix, limit }: { suffix: string; limit: number },
): AsyncGenerator<{ name: string; content: Buffer }> {
  const { size } = await file.stat();
  for (const entry of await readDirectory(file, size, where)) {
    if (!entry.name.endsWith(suffix)) continue;
    yield { name: entry.name, content: await readEntry(file, entry, `${where}: ${entry.name}`, limit) };
  }
}

async function readDirectory(file: FileHandle, size: number, where: string): Promise<ZipEntry[]> {
  const tail = Math.min(size, END_LIMIT);
  const end = await readAt(file, size - tail, tail, where);
  const at = end.lastIndexOf(Buffer.from([0x50, 0x4b, 5, 6]));
  if (at < 0 || end.length - at < 22) throw damaged(where, 'it has no directory');
  let count = end.readUInt16LE(at + 10);
  let length = end.readUInt32LE(at + 12);
  let offset = end.readUInt32LE(at + 16);
  if (count === UNKNOWN_16 || length === UNKNOWN_32 || offset === UNKNOWN_32) {
    if (at < 20 || end.readUInt32LE(at - 20) !== 0x07064b50)
      throw damaged(where, 'its directory is incomplete');
    const large = await readAt(file, toNumber(end.readBigUInt64LE(at - 12), where), 56, where);
    if (large.readUInt32LE(0) !== 0x06064b50) throw damaged(where, 'its directory is incomplete');
    count = toNumber(large.readBigUInt64LE(32), where);
    length = toNumber(large.readBigUInt64LE(40), where);
    offset = toNumber(large.readBigUInt64LE(48), where);
  }
  if (length > DIRECTORY_LIMIT || count > MOST_ENTRIES) throw tooLarge(where, `${count} files`);
  return parseDirectory(await readAt(file, offset, length, where), count, where);
}

function parseDirectory(directory: Buffer, count: number, where: string): ZipEntry[] {
  const entries: ZipEntry[] = [];
  let at = 0;
  for (let index = 0; index < count; index++) {
    if (at + 46 > directory.length || directory.readUInt32LE(at) !== 0x02014b50)
      throw damaged(where, 'its directory ends early');
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((field) =>
      directory.readUInt16LE(at + field),
    );
    const extraAt = at + 46 + (nameLength ?? 0);
    const entry = {
      name: directory.toString('utf8', at + 46, extraAt),
      method: directory.readUInt16LE(at + 10),
      compressed: directory.readUInt32LE(at + 20),
      size: directory.readUInt32LE(at + 24),
      offset: directory.readUInt32LE(at + 42),
    };
    const extra = directory.subarray(extraAt, extraAt + (extraLength ?? 0));
    entries.push(withLargeFields(entry, extra, where));
    at = extraAt + (extraLength ?? 0) + (commentLength ?? 0);
  }
  return entries;
}

/** Those that are too large for their fields are in an extra one (4.5.3), in this order. */
function withLargeFields(entry: ZipEntry, extra: Buffer, where: string): ZipEntry {
  const fields = (['size', 'compressed', 'offset'] as const).filter((name) => entry[name] === UNKNOWN_32);
  if (fields.length === 0) return entry;
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    if (extra.readUInt16LE(at) !== 1 || extra.length < at + 4 + fields.length * 8) continue;
    const values = fields.map((name, index) => [
      name,
      toNumber(extra.readBigUInt64LE(at + 4 + index * 8), where),
    ]);
    return { ...entry, ...Object.fromEntries(values) };
  }
  throw damaged(where, `the size of ${entry.name} is missing`);
}

async function readEntry(file: FileHandle, entry: ZipEntry, where: string, limit: number): Promise<Buffer> {
  const { method, compressed, size, offset } = entry;
  if (size > limit || compressed > limit) throw tooLarge(where, `${size} bytes`);
  const header = await readAt(file, offset, 30, where);
  if (header.readUInt32LE(0) !== 0x04034b50) throw damaged(where, 'it is not where the directory says');
  if ((header.readUInt16LE(6) & 1) !== 0) throw damaged(where, 'it is encrypted');
  const start = offset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28);
  const content = await readAt(file, start, compressed, where);
  if (method === 0) return content;
  if (method !== 8) throw damaged(where, `it is compressed by the method ${method}`);
  try {
    return inflateRawSync(content, { maxOutputLength: Math.max(size, 1) });
  } catch (cause) {
    throw damaged(where, (cause as Error).message);
  }
}

async function readAt(file: FileHandle, position: number, length: number, where: string): Promise<Buffer> {
  const content = Buffer.alloc(length);
  const { bytesRead } = await file.read(content, 0, length, position);
  if (bytesRead < length) throw damaged(where, 'it ends early');
  return content;
}

function toNumber(value: bigint, where: string): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw damaged(where, 'a size is none');
  return Number(value);
}

const damaged = (where: string, what: string) =>
  new ScanError('SCAN_INPUT_INVALID', `${where} is a damaged ZIP archive: ${what}`);

const tooLarge = (where: string, what: string) =>
  new ScanError('SCAN_INPUT_TOO_LARGE', `${where} has ${what}, more than any database`);

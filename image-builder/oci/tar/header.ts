// One 512-byte tar header block: POSIX ustar, GNU and old V7 (pax(1p); tar(5) of libarchive; GNU tar manual, "Standard").

import { type ErrorOptions, ImageBuilderError } from '../../base/diagnostics/error.ts';

export type TarErrorCode =
  /** A header or an extension of the tar is malformed. */
  | 'INVALID_TAR'
  /** The tar ends in the middle of an entry. */
  | 'TRUNCATED_TAR'
  /** A header of the tar exceeds the limits. */
  | 'TAR_TOO_LARGE';

/** Thrown for archives that are damaged, or hostile. */
export class TarError extends ImageBuilderError<TarErrorCode> {
  constructor(code: TarErrorCode, message: string, options: ErrorOptions = {}) {
    super(code, message, options);
  }
}

export const BLOCK_BYTES = 512;

/** What a header block says, before PAX and GNU extensions. */
export interface RawHeader {
  name: string;
  linkName: string;
  /** Bytes of data that follow in the archive. */
  size: number;
  mode: number;
  /** Seconds since the epoch. */
  mtime: number;
  /** The type flag as it is: `0`, `5`, `L`, `x`, ... */
  typeFlag: string;
  gnu: boolean;
}

/** Whether the block is nothing but zeros, as the end of an archive is. */
export function isZeroBlock(block: Buffer): boolean {
  return block.every((byte) => byte === 0);
}

/** @throws TarError INVALID_TAR when the checksum or a number is wrong */
export function parseHeader(block: Buffer, what: string): RawHeader {
  const stored = octal(block, 148, 8, what);
  if (!checksums(block).includes(stored))
    throw new TarError('INVALID_TAR', `${what}: not a tar header (the checksum is wrong)`);
  const magic = block.toString('latin1', 257, 263);
  const gnu = magic === 'ustar ';
  const name = text(block, 0, 100);
  // The prefix field exists in POSIX ustar only; GNU tar keeps times and sparse maps there.
  const prefix = magic === 'ustar\0' ? text(block, 345, 155) : '';
  const typeByte = block[156] ?? 0;
  return {
    name: prefix ? `${prefix}/${name}` : name,
    linkName: text(block, 157, 100),
    size: number(block, 124, 12, what),
    mode: number(block, 100, 8, what) & 0o7777,
    mtime: number(block, 136, 12, what),
    typeFlag: typeByte === 0 ? '0' : String.fromCharCode(typeByte),
    gnu,
  };
}

/** A number field: octal text, or base-256 when the first bit is set (GNU, star). */
export function number(block: Buffer, offset: number, length: number, what: string): number {
  const first = block[offset] ?? 0;
  if ((first & 0x80) === 0) return octal(block, offset, length, what);
  // Negative numbers (0xff) occur in times before 1970 only.
  let value = first === 0xff ? -1 : first & 0x7f;
  for (let index = offset + 1; index < offset + length; index++) value = value * 256 + (block[index] ?? 0);
  if (!Number.isSafeInteger(value))
    throw new TarError('INVALID_TAR', `${what}: a number in a tar header is out of range`);
  return value;
}

function octal(block: Buffer, offset: number, length: number, what: string): number {
  const digits = block
    .toString('latin1', offset, offset + length)
    .replace(/[\0 ]+$/, '')
    .replace(/^[\0 ]+/, '');
  if (digits === '') return 0;
  // Some writers leave rubbish after the terminator; what is before it counts.
  const [value = ''] = digits.split(/[\0 ]/);
  if (!/^[0-7]+$/.test(value))
    throw new TarError('INVALID_TAR', `${what}: a number in a tar header is not octal`);
  return Number.parseInt(value, 8);
}

/** The sums of all bytes with the checksum field counted as blanks: unsigned, and signed as some old writers have it. */
function checksums(block: Buffer): [unsigned: number, signed: number] {
  let sum = 8 * 0x20;
  let high = 0;
  for (let index = 0; index < BLOCK_BYTES; index++) {
    if (index >= 148 && index < 156) continue;
    const byte = block[index] ?? 0;
    sum += byte;
    if (byte > 127) high++;
  }
  return [sum, sum - 256 * high];
}

/** A NUL-terminated text field. */
function text(block: Buffer, offset: number, length: number): string {
  const end = block.indexOf(0, offset);
  return block.toString('utf8', offset, end < 0 || end > offset + length ? offset + length : end);
}

/** Data of an extended header (`x`, `g`): `<length> <key>=<value>\n`, again and again. */
export function parsePax(data: Buffer, what: string): [string, string][] {
  const records: [string, string][] = [];
  for (let offset = 0; offset < data.length && data[offset] !== 0; ) {
    const space = data.indexOf(0x20, offset);
    const length = space < 0 ? Number.NaN : Number(data.toString('latin1', offset, space));
    const end = offset + length;
    if (!Number.isInteger(length) || end <= space || end > data.length || data[end - 1] !== 0x0a) {
      throw new TarError('INVALID_TAR', `${what}: a PAX record is malformed`);
    }
    const record = data.toString('utf8', space + 1, end - 1);
    const equals = record.indexOf('=');
    if (equals < 1) throw new TarError('INVALID_TAR', `${what}: a PAX record has no key`);
    records.push([record.slice(0, equals), record.slice(equals + 1)]);
    offset = end;
  }
  return records;
}

// Sparse files in tar archives: the old GNU format and PAX 0.0, 0.1 and 1.0 (GNU tar manual, "Storing Sparse Files").

import type { ByteReader } from './byte-reader.ts';
import { BLOCK_BYTES, number, TarError } from './header.ts';

/** A stretch of real data in a sparse file; all else is zeros. Offsets are in the expanded file. */
export interface Fragment {
  offset: number;
  length: number;
}

/** A sparse file's layout. */
export interface SparseMap {
  /** Size of the expanded file in bytes. */
  realSize: number;
  fragments: Fragment[];
  /** Bytes of map that lay at the front of the entry's data (PAX 1.0). */
  mapBytes: number;
}

const FRAGMENT_LIMIT = 1_000_000;
/** A decimal number and its newline, with room to spare. */
const NUMBER_LIMIT_BYTES = 21;

/** The map of an old GNU sparse entry (`S`): four fragments in the header, more in blocks of their own. */
export async function readGnuSparse(header: Buffer, reader: ByteReader, what: string): Promise<SparseMap> {
  const fragments = gnuFragments(header, 386, 4, what);
  let extended = header[482] !== 0;
  while (extended) {
    const block = await reader.read(BLOCK_BYTES);
    if (block.length < BLOCK_BYTES) throw new TarError('TRUNCATED_TAR', `${what}: a sparse map is truncated`);
    fragments.push(...gnuFragments(block, 0, 21, what));
    if (fragments.length > FRAGMENT_LIMIT) throw tooManyFragments(what);
    extended = block[504] !== 0;
  }
  return checked({ realSize: number(header, 483, 12, what), fragments, mapBytes: 0 }, what);
}

function gnuFragments(block: Buffer, start: number, count: number, what: string): Fragment[] {
  const fragments: Fragment[] = [];
  for (let index = 0; index < count; index++) {
    const at = start + index * 24;
    if (block[at] === 0) break;
    fragments.push({ offset: number(block, at, 12, what), length: number(block, at + 12, 12, what) });
  }
  return fragments;
}

/** Collects the sparse records of PAX headers. Undefined when the entry is not sparse. */
export async function readPaxSparse(
  records: [string, string][],
  dataSize: number,
  reader: ByteReader,
  what: string,
): Promise<SparseMap | undefined> {
  const value = (key: string) => records.findLast(([name]) => name === `GNU.sparse.${key}`)?.[1];
  const realSize = decimal(value('realsize') ?? value('size') ?? '', what);
  if (value('major') === '1' && value('minor') === '0') return readPax1Map(realSize, dataSize, reader, what);
  const map = value('map');
  if (map !== undefined)
    return checked({ realSize, fragments: pairs(map === '' ? [] : map.split(','), what), mapBytes: 0 }, what);
  if (value('numblocks') === undefined) return undefined;
  const numbers = records
    .filter(([name]) => name === 'GNU.sparse.offset' || name === 'GNU.sparse.numbytes')
    .map(([, text]) => text);
  return checked({ realSize, fragments: pairs(numbers, what), mapBytes: 0 }, what);
}

/** PAX 1.0: the map is text at the start of the data, padded to a block. */
async function readPax1Map(
  realSize: number,
  dataSize: number,
  reader: ByteReader,
  what: string,
): Promise<SparseMap> {
  let text = '';
  let mapBytes = 0;
  const next = async (): Promise<string> => {
    while (!text.includes('\n')) {
      if (text.length > NUMBER_LIMIT_BYTES || mapBytes >= dataSize) {
        throw new TarError('INVALID_TAR', `${what}: a sparse map is malformed`);
      }
      const block = await reader.read(BLOCK_BYTES);
      if (block.length < BLOCK_BYTES)
        throw new TarError('TRUNCATED_TAR', `${what}: a sparse map is truncated`);
      mapBytes += BLOCK_BYTES;
      text += block.toString('latin1');
    }
    const end = text.indexOf('\n');
    const line = text.slice(0, end);
    text = text.slice(end + 1);
    return line;
  };
  const count = decimal(await next(), what);
  if (count > FRAGMENT_LIMIT) throw tooManyFragments(what);
  const numbers: string[] = [];
  for (let index = 0; index < count * 2; index++) numbers.push(await next());
  return checked({ realSize, fragments: pairs(numbers, what), mapBytes }, what);
}

function pairs(numbers: string[], what: string): Fragment[] {
  if (numbers.length % 2 !== 0) throw new TarError('INVALID_TAR', `${what}: a sparse map is malformed`);
  if (numbers.length > 2 * FRAGMENT_LIMIT) throw tooManyFragments(what);
  const fragments: Fragment[] = [];
  for (let index = 0; index < numbers.length; index += 2) {
    fragments.push({
      offset: decimal(numbers[index] ?? '', what),
      length: decimal(numbers[index + 1] ?? '', what),
    });
  }
  return fragments;
}

function decimal(text: string, what: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) {
    throw new TarError('INVALID_TAR', `${what}: a number in a sparse map is malformed`);
  }
  return value;
}

/** Fragments must be in order, apart from each other, and inside the file. */
function checked(map: SparseMap, what: string): SparseMap {
  let end = 0;
  for (const { offset, length } of map.fragments) {
    if (offset < end) throw new TarError('INVALID_TAR', `${what}: the parts of a sparse file overlap`);
    end = offset + length;
  }
  if (end > map.realSize)
    throw new TarError('INVALID_TAR', `${what}: a sparse file has parts beyond its end`);
  return map;
}

function tooManyFragments(what: string): TarError {
  return new TarError('TAR_TOO_LARGE', `${what}: a sparse file has more than ${FRAGMENT_LIMIT} parts`);
}

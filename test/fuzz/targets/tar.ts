// Archives, read as a stream and by ranges: both say the same, or refuse.
import { createHash } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { ImageBuilderError } from '../../../image-builder/base/diagnostics/error.ts';
import {
  type ByteReader,
  RangedByteReader,
  StreamByteReader,
} from '../../../image-builder/oci/tar/byte-reader.ts';
import { TarReader } from '../../../image-builder/oci/tar/reader.ts';
import { type Target, Violation } from '../campaign.ts';
import { corpus } from '../corpus.ts';
import type { Random } from '../random.ts';

const BLOCK = 512;
const LARGEST = 1 << 20;

/** One archive of each kind of header. */
export const TARS: readonly Buffer[] = corpus('tar').map((packed) => gunzipSync(packed));

/** Offsets of a header's fields (tar(5)). */
const FIELDS = [0, 99, 100, 108, 116, 124, 135, 136, 148, 156, 157, 257, 263, 265, 345, 386, 482, 483, 495];
const TYPE_FLAGS = '01234567SLKxgVNMDAX\0';
const RECORDS = [
  '27 GNU.sparse.realsize=9999\n',
  '26 GNU.sparse.map=0,1,2,3\n',
  '22 GNU.sparse.major=1\n',
  '29 size=18446744073709551616\n',
  '11 size=-1\n',
  '16 path=../../x\n',
  '99 size=5\n',
  '0 a=b\n',
];

/** A valid archive with damaged headers, most of them with a right checksum. */
export function mutateTar(random: Random): Buffer {
  let tar: Buffer = Buffer.from(random.pick(TARS));
  for (let left = random.below(6); left >= 0; left--) tar = damage(random, tar);
  return tar.subarray(0, LARGEST);
}

function damage(random: Random, tar: Buffer): Buffer {
  const blocks = Math.max(1, Math.floor(tar.length / BLOCK));
  const at = random.below(blocks) * BLOCK;
  switch (random.below(8)) {
    case 0:
      tar[random.below(tar.length)] = random.below(256);
      return tar;
    case 1: {
      const field = at + random.pick(FIELDS);
      const bytes = [0x30, 0x37, 0x20, 0, 0x80, 0xff, 0x31, random.below(256)];
      for (let end = field + 1 + random.below(12); end > field; end--) tar[end] = random.pick(bytes);
      return withChecksum(tar, at);
    }
    case 2:
      tar[at + 156] = random.pick([...TYPE_FLAGS]).charCodeAt(0);
      return withChecksum(tar, at);
    case 3:
      return tar.subarray(0, random.below(tar.length));
    case 4: {
      const other = random.pick(TARS);
      const from = random.below(other.length / BLOCK) * BLOCK;
      const piece = other.subarray(from, from + BLOCK * (1 + random.below(8)));
      return Buffer.concat([tar.subarray(0, at), piece, tar.subarray(at)]);
    }
    case 5:
      return Buffer.concat([tar.subarray(0, at), tar.subarray(at + BLOCK * (1 + random.below(4)))]);
    case 6:
      tar.write(random.pick(RECORDS), at);
      return tar;
    default:
      // A size in base 256, up to more than can be counted exactly.
      tar[at + 124] = 0x80;
      for (let index = 125; index < 136; index++) {
        tar[at + index] = index > 124 + random.below(12) ? random.below(256) : 0;
      }
      return withChecksum(tar, at);
  }
}

function withChecksum(tar: Buffer, at: number): Buffer {
  if (at + BLOCK > tar.length) return tar;
  tar.fill(0x20, at + 148, at + 156);
  const sum = tar.subarray(at, at + BLOCK).reduce((total, byte) => total + byte, 0);
  tar.write(`${sum.toString(8).padStart(6, '0')}\0 `, at + 148);
  return tar;
}

/** An entry as two readers can agree on it. */
export interface ReadEntry {
  path: string;
  type: string;
  size: number;
  sha1?: string;
  link?: string;
}

/** Everything in an archive. @throws TarError */
export async function readAll(reader: ByteReader): Promise<ReadEntry[]> {
  const tar = new TarReader(reader, 'the archive');
  const entries: ReadEntry[] = [];
  for (let entry = await tar.next(); entry; entry = await tar.next()) {
    const { path, type, size, linkName } = entry;
    const isLink = type === 'symlink' || type === 'hardlink';
    const read: ReadEntry = {
      path,
      type,
      size: type === 'file' ? size : 0,
      ...(isLink && { link: linkName }),
    };
    if (type === 'file' && size <= 4 * LARGEST) {
      const hash = createHash('sha1');
      for await (const chunk of tar.data()) hash.update(chunk);
      read.sha1 = hash.digest('hex');
    }
    entries.push(read);
  }
  return entries;
}

async function* pieces(tar: Buffer): AsyncGenerator<Buffer> {
  for (let start = 0; start < tar.length; start += 700) yield tar.subarray(start, start + 700);
}

export const byStream = (tar: Buffer): ByteReader => new StreamByteReader(pieces(tar));

const byRanges = (tar: Buffer): ByteReader =>
  new RangedByteReader(async (start, length) => tar.subarray(start, start + length), tar.length, 4096);

/** What is in an archive, or the error that refuses it. */
async function outcome(reader: ByteReader): Promise<string | ImageBuilderError> {
  try {
    return JSON.stringify(await readAll(reader));
  } catch (error) {
    if (error instanceof ImageBuilderError) return error;
    throw error;
  }
}

export const tar: Target<Buffer> = {
  name: 'tar',
  generate: mutateTar,
  check: async (archive) => {
    const [streamed, ranged] = [await outcome(byStream(archive)), await outcome(byRanges(archive))];
    const refused = [streamed, ranged].filter((one) => one instanceof ImageBuilderError);
    if (refused.length === 1 || (refused.length === 0 && streamed !== ranged)) {
      throw new Violation(`as a stream: ${streamed}\nby ranges: ${ranged}`);
    }
    if (refused[0]) throw refused[0];
  },
};

// The index of the blocks of an image, and the tables of an image that somebody else may have made.
import type { FileHandle } from 'node:fs/promises';
import { type BlockIndex, formatIndex, parseIndex } from '../../../image-builder/qcow2/block-index.ts';
import { readLayout } from '../../../image-builder/qcow2/clusters.ts';
import { frameLength } from '../../../image-builder/qcow2/frame.ts';
import { NeededBlocks } from '../../../image-builder/qcow2/needed-blocks.ts';
import { type Target, Violation } from '../campaign.ts';
import { mutateBytes } from '../mutate.ts';
import type { Random } from '../random.ts';

const CLUSTER = 4096;
const BLOCKS = 6;
const INDEX: BlockIndex = {
  ...{ fileBytes: 60_000, diskBytes: 100 * CLUSTER, clusterBytes: CLUSTER },
  clusters: Array.from({ length: BLOCKS }, (_, place) => ({
    ...{ index: place * 3, offset: 5000 * (1 + place), length: place % 2 ? CLUSTER : 700 },
    ...{ compressed: place % 2 === 0, sha256: Buffer.alloc(32, place) },
  })),
  literals: [{ offset: 0, data: Buffer.alloc(512, 3) }],
  keys: Buffer.from(Array.from({ length: BLOCKS * 5 }, (_, byte) => byte)),
};
const RECORD_BYTES = 48;
const HEADER_BYTES = 40;

/** An index with some of its numbers changed: what follows from one is not only found by chance. */
function mutateIndex(random: Random): Buffer {
  const content = formatIndex(INDEX);
  if (random.once(3)) return mutateBytes(random, content);
  for (let left = random.below(4); left >= 0; left--) {
    const places = [
      12,
      16,
      20,
      24,
      32,
      HEADER_BYTES + random.below(BLOCKS) * RECORD_BYTES + random.pick([0, 4, 8]),
    ];
    const value = random.pick([0, 1, CLUSTER, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, random.below(70_000)]);
    content.writeUInt32LE(value, random.pick(places));
  }
  return content;
}

function checkIndex(content: Buffer): void {
  const index = parseIndex(content);
  if (!formatIndex(index).equals(content)) throw new Violation('what was read is not what was written');
  if (index.clusters.some(({ offset, length }) => offset + length > index.fileBytes))
    throw new Violation('a cluster lies outside of the file');
  new NeededBlocks(index, [...index.clusters.keys()]).take(Buffer.alloc(CLUSTER));
}

/** An image of 16 clusters: a header, an L1 table, an L2 table, and entries of each kind. */
function image(): Buffer {
  const content = Buffer.alloc(16 * CLUSTER);
  content.writeUInt32BE(0x514649fb, 0);
  content.writeUInt32BE(3, 4);
  content.writeUInt32BE(12, 20);
  content.writeBigUInt64BE(BigInt(64 * CLUSTER), 24);
  content.writeUInt32BE(1, 36);
  content.writeBigUInt64BE(BigInt(CLUSTER), 40);
  content.writeBigUInt64BE(8n, 72);
  content.writeUInt32BE(4, 96);
  content.writeUInt8(1, 104);
  content.writeBigUInt64BE(BigInt(2 * CLUSTER), CLUSTER);
  for (let slot = 0; slot < 8; slot++) {
    const entry = slot % 2 ? BigInt((3 + slot) * CLUSTER) : (1n << 62n) | BigInt((3 + slot) * CLUSTER);
    content.writeBigUInt64BE(entry, 2 * CLUSTER + slot * 8);
  }
  return content;
}

/** A file in memory, as far as it is read. */
function inMemory(content: Buffer): FileHandle {
  return {
    stat: async () => ({ size: content.length }),
    read: async (buffer: Buffer, offset: number, length: number, position: number) => ({
      bytesRead: content.copy(
        buffer,
        offset,
        Math.min(position, content.length),
        Math.min(position + length, content.length),
      ),
    }),
  } as unknown as FileHandle;
}

function mutateTables(random: Random): Buffer {
  const content = image();
  for (let left = random.below(5); left >= 0; left--) {
    const place = random.pick([
      4,
      8,
      20,
      24,
      28,
      32,
      36,
      40,
      44,
      72,
      76,
      96,
      CLUSTER,
      CLUSTER + 4,
      2 * CLUSTER + random.below(64),
    ]);
    content.writeUInt32BE(
      random.pick([0, 1, 3, 4, 8, 9, 16, 21, 0x1000, 0xffff_ffff, random.below(70_000)]),
      place,
    );
  }
  return content.subarray(0, random.once(5) ? random.below(content.length) : content.length);
}

async function checkTables(content: Buffer): Promise<void> {
  const { clusters, clusterBits } = await readLayout(inMemory(content));
  for (const { offset, length, compressed } of clusters) {
    if (offset >= content.length) throw new Violation('a cluster begins outside of the file');
    if (length > 2 ** (clusterBits + 1)) throw new Violation('a cluster is too long');
    if (!compressed) continue;
    const end = frameLength(content.subarray(offset, offset + length));
    if (end > length) throw new Violation('a frame is longer than its cluster');
  }
}

export const qcow2: Target<{ isIndex: boolean; content: Buffer }> = {
  name: 'qcow2',
  generate(random) {
    const isIndex = random.once(2);
    return { isIndex, content: isIndex ? mutateIndex(random) : mutateTables(random) };
  },
  check: ({ isIndex, content }) => (isIndex ? checkIndex(content) : checkTables(content)),
};

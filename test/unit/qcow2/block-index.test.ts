// The index of the blocks of an image: what is written is read again, and what contradicts itself is refused.
import { createHash } from 'node:crypto';
import { type BlockIndex, formatIndex, keyOf, parseIndex } from '../../../image-builder/qcow2/block-index.ts';
import { NeededBlocks } from '../../../image-builder/qcow2/needed-blocks.ts';

const CLUSTER = 64 * 1024;
const sha256 = createHash('sha256').update('x').digest();
const block = (number: number) => Buffer.alloc(4096, `block ${number} `);

/** Two clusters of 16 blocks; the last block of each is the same, and the first of the second is of zeros. */
function sample(): BlockIndex {
  const contents = Array.from({ length: 32 }, (_, index) => block(index % 16 === 15 ? 15 : index));
  contents[16] = Buffer.alloc(4096);
  return {
    ...{ fileBytes: 300_000, diskBytes: 10 * CLUSTER, clusterBytes: CLUSTER },
    clusters: [
      { index: 2, offset: 1000, length: 700, compressed: true, sha256 },
      { index: 7, offset: 65_536, length: CLUSTER, compressed: false, sha256 },
    ],
    literals: [
      { offset: 0, data: Buffer.from('header') },
      { offset: 1700, data: Buffer.from('table') },
    ],
    keys: Buffer.concat(contents.map(keyOf)),
  };
}

test('is read as it was written', () => {
  expect(parseIndex(formatIndex(sample()))).toEqual(sample());
});

type Change = (index: BlockIndex) => BlockIndex;
const cluster =
  (place: number, changes: Partial<BlockIndex['clusters'][number]>): Change =>
  (index) => ({
    ...index,
    clusters: index.clusters.map((one, at) => (at === place ? { ...one, ...changes } : one)),
  });

test.each<[string, Change]>([
  ['a cluster over a literal', cluster(0, { offset: 3 })],
  ['a cluster over another', cluster(0, { offset: 65_000 })],
  ['a cluster behind the end of the file', cluster(1, { offset: 300_000 })],
  ['a cluster behind the end of the disk', cluster(1, { index: 10 })],
  ['clusters out of order', cluster(0, { index: 7 })],
  ['an empty cluster', cluster(0, { length: 0 })],
  ['a compressed cluster larger than any', cluster(0, { length: 2 * CLUSTER + 1 })],
  ['a short cluster that is not compressed', cluster(1, { length: 700 })],
  ['clusters of an odd size', (index) => ({ ...index, clusterBytes: CLUSTER - 4096 })],
  ['clusters that are too large', (index) => ({ ...index, clusterBytes: 2 ** 22 })],
  ['a size that nothing has', (index) => ({ ...index, fileBytes: Number.MAX_SAFE_INTEGER + 1 })],
  [
    'a literal behind the end',
    (index) => ({ ...index, literals: [{ offset: 299_999, data: Buffer.from('ab') }] }),
  ],
  ['too few hashes', (index) => ({ ...index, keys: index.keys.subarray(5) })],
  ['too many hashes', (index) => ({ ...index, keys: Buffer.concat([index.keys, sha256]) })],
])('is refused with %s', (_, change) => {
  expect(() => parseIndex(formatIndex(change(sample())))).toThrow(
    expect.objectContaining({ code: 'BLOCK_INDEX_INVALID' }),
  );
});

test('is refused wherever it is cut off, and with counts that there is no room for', () => {
  const content = formatIndex(sample());
  const refused = expect.objectContaining({ code: 'BLOCK_INDEX_INVALID' });
  for (let length = 0; length < content.length; length++)
    expect(() => parseIndex(content.subarray(0, length))).toThrow(refused);
  for (const place of [16, 20]) {
    const many = Buffer.from(content);
    many.writeUInt32LE(0xffff_ffff, place);
    expect(() => parseIndex(many)).toThrow(refused);
  }
});

test('needed blocks are found by their content, each where it is needed', () => {
  const needed = new NeededBlocks(sample(), [0, 1]);
  expect(needed.take(block(99))).toEqual([]);
  expect(needed.take(Buffer.alloc(4096))).toEqual([]);
  expect(needed.take(block(15)).sort()).toEqual([15, 31]);
  // They are there now.
  expect(needed.take(block(15))).toEqual([]);
  for (let number = 0; number < 15; number++) expect(needed.take(block(number))).toEqual([number]);
  expect([needed.has(0), needed.has(1), needed.isComplete]).toEqual([true, false, false]);
  for (let number = 17; number < 31; number++) needed.take(block(number));
  expect([needed.has(1), needed.isComplete]).toEqual([true, true]);
});

test('blocks of clusters that are there already are not needed', () => {
  const needed = new NeededBlocks(sample(), [1]);
  expect(needed.take(block(3))).toEqual([]);
  expect(needed.take(block(15))).toEqual([31]);
});

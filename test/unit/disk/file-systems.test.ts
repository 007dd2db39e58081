import { usedInodes } from '../../../image-builder/disk/ext4.ts';
import { swapHeader } from '../../../image-builder/disk/swap.ts';
import { fatGeometry } from '../../../image-builder/disk/vfat.ts';

const MIB = 1024 * 1024;

test('the inodes in use are the root and everything between the free ranges', () => {
  const dump = [
    'Inode count:              32',
    'First inode:              11',
    'Group 0: (Blocks 1-8192) csum 0x1234',
    '  Free blocks: 100-200',
    '  Free inodes: 14, 16',
    'Group 1: (Blocks 8193-16384)',
    '  Free blocks: ',
    '  Free inodes: 19-30',
    'Group 2: (Blocks 16385-20000)',
    '  Free inodes: ',
  ].join('\n');
  expect(usedInodes(dump)).toEqual([2, 11, 12, 13, 15, 17, 18, 31, 32]);
});

test.each([2, 4, 15, 16, 63, 64, 299, 300, 511, 8191, 8192, 40_000])(
  'a FAT volume of %d MiB has a number of clusters that its type allows',
  (mib) => {
    const { fat, sectorsPerCluster } = fatGeometry(mib * MIB);
    // Microsoft's FAT specification: below 4085 FAT12, below 65525 FAT16, at most 2^28 FAT32; a margin for the tables.
    const clusters = (mib * MIB * 0.97) / (sectorsPerCluster * 512);
    const [least, most] = { 12: [1, 4084], 16: [4085, 65_524], 32: [65_525, 2 ** 28] }[fat] as [
      number,
      number,
    ];
    expect(clusters).toBeGreaterThanOrEqual(least);
    expect(clusters).toBeLessThanOrEqual(most);
  },
);

test('a swap header has version, last page, UUID and signature', () => {
  const page = swapHeader(64 * MIB, '01234567-89ab-8def-8123-456789abcdef');
  expect(page.length).toBe(4096);
  expect([page.readUInt32LE(1024), page.readUInt32LE(1028)]).toEqual([1, 64 * 256 - 1]);
  expect(page.toString('hex', 1036, 1052)).toBe('0123456789ab8def8123456789abcdef');
  expect(page.toString('latin1', 4086)).toBe('SWAPSPACE2');
});

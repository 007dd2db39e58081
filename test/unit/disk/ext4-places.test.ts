import { crc32c } from '../../../image-builder/disk/crc32c.ts';
import {
  CLUSTER_BLOCKS,
  groupFiles,
  joinRuns,
  placeFiles,
  Room,
  withoutRuns,
} from '../../../image-builder/disk/ext4-places.ts';

test('CRC-32C is that of RFC 3720, before its inversion', () => {
  const sum = (data: Uint8Array) => ~crc32c(0xffff_ffff, data) >>> 0;
  expect(sum(Buffer.from('123456789'))).toBe(0xe306_9283);
  expect(sum(Buffer.alloc(32))).toBe(0x8a91_36aa);
});

test('runs that touch are joined, and what others have is taken out', () => {
  const runs = joinRuns([
    { start: 30, length: 5 },
    { start: 0, length: 10 },
    { start: 10, length: 5 },
    { start: 12, length: 1 },
  ]);
  expect(runs).toEqual([
    { start: 0, length: 15 },
    { start: 30, length: 5 },
  ]);
  const others = [
    { start: 3, length: 2 },
    { start: 14, length: 17 },
    { start: 34, length: 9 },
  ];
  expect(withoutRuns(runs, others)).toEqual([
    { start: 0, length: 3 },
    { start: 5, length: 9 },
    { start: 31, length: 3 },
  ]);
});

const files = (sizes: readonly number[]) =>
  sizes.map((size) => ({ size, lengths: [Math.ceil(size / 4096)] }));
const sizes = Array.from({ length: 4000 }, (_, index) => 4096 + ((index * 7919) % 90_000));

test('a file more changes one group, and hardly ever the next', () => {
  const names = (list: readonly number[]) =>
    groupFiles(files(list)).map((group) => group.map(({ size }) => size).join());
  const before = names(sizes);
  expect(before.length).toBeGreaterThan(20);
  for (const place of [0, 77, 1000, 2222, 3999]) {
    const after = names(sizes.toSpliced(place, 0, 12_345));
    expect(after.filter((group) => !before.includes(group)).length).toBeLessThanOrEqual(2);
  }
});

test('groups begin at clusters; files of a group follow each other', () => {
  const list = files(sizes);
  const places = placeFiles(list, new Room([{ start: 10, length: 1_000_000 }]));
  for (const group of groupFiles(list)) {
    let next = places?.get(group[0] as (typeof list)[0])?.[0] ?? -1;
    expect(next % CLUSTER_BLOCKS).toBe(0);
    for (const file of group) {
      expect(places?.get(file)).toEqual([next]);
      next += file.lengths[0] ?? 0;
    }
  }
});

test('what does not fit before something that stays goes behind it; a file in parts goes there part by part', () => {
  const list = [
    { size: 100 * 4096, lengths: [100] },
    { size: 3000 * 4096, lengths: [1500, 1500] },
  ];
  const room = new Room([
    { start: 0, length: 1610 },
    { start: 2000, length: 1600 },
  ]);
  // One group, which fits nowhere as a whole.
  expect([...(placeFiles(list, room)?.values() ?? [])]).toEqual([[0], [100, 2000]]);
  expect(placeFiles(list, new Room([{ start: 0, length: 3000 }]))).toBeUndefined();
});

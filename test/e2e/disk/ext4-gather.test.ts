// Directories of a new ext4 lie next to each other, and it is sound all the same.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { PlannedPartition } from '../../../image-builder/disk/disk-plan.ts';
import { makeExt4, usedInodes } from '../../../image-builder/disk/ext4.ts';
import { gatherMetadata } from '../../../image-builder/disk/ext4-gather.ts';
import { type TestStage, testStage } from '../support/stage-context.ts';

const MIB = 1024 ** 2;
const START = MIB;
let stage: TestStage;
let disk: string;

const tool = (name: string, ...args: string[]) =>
  execFileSync(name, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 64 * MIB });
const debugfs = (volume: string, request: string) => tool('debugfs', '-R', request, volume);
const volumeOf = (path: string) => `${path}?offset=${START}`;
/** Physical blocks of a file, by its inode or path. */
const blocksOf = (volume: string, file: string) =>
  debugfs(volume, `blocks ${file}`).trim().split(/\s+/).filter(Boolean).map(Number);

beforeAll(async () => {
  stage = await testStage(1_700_000_000);
  const tree = join(stage.directory, 'tree');
  for (let index = 0; index < 300; index++) {
    const directory = join(tree, `package-${index % 20}`, `part-${index}`);
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'data'), Buffer.alloc(20_000, `${index} `));
  }
  // A directory of several blocks, and a file with so many holes that its extents have a block of their own.
  mkdirSync(join(tree, 'large'));
  for (let index = 0; index < 600; index++)
    writeFileSync(join(tree, 'large', `${'n'.repeat(60)}-${index}`), '');
  const holes = Buffer.alloc(40 * 4096);
  for (let block = 0; block < 40; block += 2) holes.fill('x', block * 4096, (block + 1) * 4096);
  writeFileSync(join(tree, 'holes'), holes);
  disk = join(stage.directory, 'disk.raw');
  writeFileSync(disk, '');
  execFileSync('truncate', ['-s', '402M', disk]);
  const partition = {
    ...{ number: 1, startBytes: START, sizeBytes: 400 * MIB },
    fileSystem: { type: 'ext4', uuid: '01234567-89ab-8def-8123-456789abcdef' },
  } as PlannedPartition;
  await makeExt4(disk, partition, { directory: tree, mode: '755', uid: 0, gid: 0 }, stage);
});

afterAll(() => stage.remove());

function expectSound(path: string): void {
  expect(tool('e2fsck', '-fn', volumeOf(path))).toMatch(/files \(.*blocks\n?$/);
}

function expectContent(path: string): void {
  const copy = join(stage.directory, 'copy');
  execFileSync('rm', ['-rf', copy]);
  mkdirSync(copy);
  debugfs(volumeOf(path), `rdump / ${copy}`);
  execFileSync('rm', ['-rf', join(copy, 'lost+found')]);
  execFileSync('diff', ['--recursive', join(stage.directory, 'tree'), copy]);
}

test('it is sound, and holds the tree', () => {
  expectSound(disk);
  expectContent(disk);
});

test('directories and outer nodes of extents follow each other', () => {
  const volume = volumeOf(disk);
  const directories = [
    '/',
    '/large',
    ...Array.from({ length: 300 }, (_, index) => `/package-${index % 20}/part-${index}`),
  ];
  const blocks = directories.flatMap((path) => blocksOf(volume, path)).sort((a, b) => a - b);
  expect(blocksOf(volume, '/large').length).toBeGreaterThan(5);
  // All of them, with those that are not listed here in between.
  const last = blocks.at(-1) ?? 0;
  expect(last - (blocks[0] ?? 0)).toBeLessThan(blocks.length + 40);
  const [, node = ''] = /\(ETB0\):(\d+)/.exec(debugfs(volume, 'stat /holes')) ?? [];
  expect(Math.abs(Number(node) - last)).toBeLessThan(400);
});

test('what they leave is zeros', async () => {
  const dump = tool('dumpe2fs', volumeOf(disk));
  const [first = 0] = blocksOf(volumeOf(disk), '/package-0/part-0/data');
  const content = readFileSync(disk);
  const free =
    /^ {2}Free blocks: (.*)$/m
      .exec(dump)?.[1]
      ?.split(', ')
      .filter((range) => !range.includes('-')) ?? [];
  expect(free.length).toBeGreaterThan(100);
  for (const block of free) {
    const at = START + Number(block) * 4096;
    expect(content.subarray(at, at + 4096).equals(Buffer.alloc(4096))).toBe(true);
  }
  expect(first).toBeGreaterThan(0);
});

test('they may go to a group whose bitmap was not written yet', async () => {
  const other = join(stage.directory, 'other.raw');
  cpSync(disk, other);
  const dump = tool('dumpe2fs', volumeOf(other));
  expect(dump).toMatch(/BLOCK_UNINIT/);
  // As if the first group had no room.
  const full = dump.replace(/^( {2}Free blocks: ).*$/m, '$1');
  const file = await open(other, 'r+');
  const lines = await gatherMetadata({ disk: file, offset: START }, full, usedInodes(dump));
  await file.close();
  execFileSync('debugfs', ['-w', '-f', '-', volumeOf(other)], {
    input: `${lines.join('\n')}\n`,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  expect(blocksOf(volumeOf(other), '/large')[0]).toBeGreaterThan(32_768);
  expectSound(other);
  expectContent(other);
});

test('nothing moves where there is no room for all', async () => {
  const dump = tool('dumpe2fs', volumeOf(disk)).replace(/^( {2}Free blocks: ).*$/gm, '$11-20');
  const file = await open(disk, 'r+');
  expect(await gatherMetadata({ disk: file, offset: START }, dump, usedInodes(dump))).toEqual([]);
  await file.close();
  expectSound(disk);
});

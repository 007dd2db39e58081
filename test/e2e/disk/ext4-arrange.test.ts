// Directories of a new ext4 lie next to each other, files begin where they differ little from image to image, and it is sound all the same.
import { execFileSync } from 'node:child_process';
import { createCipheriv, createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PlannedPartition } from '../../../image-builder/disk/disk-plan.ts';
import { makeExt4 } from '../../../image-builder/disk/ext4.ts';
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
  await makeDisk(disk, tree, 400);
});

async function makeDisk(path: string, tree: string, mib: number): Promise<void> {
  writeFileSync(path, '');
  execFileSync('truncate', ['-s', `${mib + 2}M`, path]);
  const partition = {
    ...{ number: 1, startBytes: START, sizeBytes: mib * MIB },
    fileSystem: { type: 'ext4', uuid: '01234567-89ab-8def-8123-456789abcdef' },
  } as PlannedPartition;
  await makeExt4(path, partition, { directory: tree, mode: '751', uid: 100_000, gid: 70_000 }, stage);
}

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

test('free blocks are zeros', () => {
  const dump = tool('dumpe2fs', volumeOf(disk));
  const content = readFileSync(disk);
  const free = dump.matchAll(/^ {2}Free blocks: (.+)$/gm);
  let count = 0;
  for (const range of [...free].flatMap(([, ranges = '']) => ranges.split(', '))) {
    const [from = 0, to = from] = range.split('-').map(Number);
    const part = content.subarray(START + from * 4096, START + (to + 1) * 4096);
    expect(part.some((byte) => byte !== 0)).toBe(false);
    count += to - from + 1;
  }
  expect(count).toBeGreaterThan(10_000);
});

test('times and the attributes of the root are those of the build and of the tree', () => {
  const stat = debugfs(volumeOf(disk), 'stat /package-0/part-0/data');
  expect(stat).toMatch(/ctime: 0x6553f100:00000000/);
  expect(stat).toMatch(/atime: 0x6553f100:00000000/);
  const root = debugfs(volumeOf(disk), 'stat /');
  expect(root).toMatch(/mtime: 0x6553f100/);
  expect(root).toMatch(/Mode: +0751/);
  expect(root).toMatch(/User: +100000 +Group: +70000/);
});

/** Clusters of the disk that hold something, by their hash. */
function clustersOf(path: string): Set<string> {
  const content = readFileSync(path);
  const zeros = Buffer.alloc(MIB);
  const clusters = new Set<string>();
  for (let at = 0; at < content.length; at += MIB) {
    const cluster = content.subarray(at, at + MIB);
    if (!cluster.equals(zeros.subarray(0, cluster.length)))
      clusters.add(createHash('sha256').update(cluster).digest('hex'));
  }
  return clusters;
}

test('a file more leaves the clusters of most others as they are, wherever these have moved', async () => {
  const tree = join(stage.directory, 'large-tree');
  const random = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16));
  for (let index = 0; index < 3000; index++) {
    const directory = join(tree, `package-${index % 20}`);
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, `${index}`), random.update(Buffer.alloc((index * 7919) % 60_000)));
  }
  const [one, other] = ['one.raw', 'two.raw'].map((name) => join(stage.directory, name)) as [string, string];
  await makeDisk(one, tree, 400);
  const before = clustersOf(one);
  for (const name of ['package-0', 'package-12'])
    writeFileSync(join(tree, name, 'added'), random.update(Buffer.alloc(9000)));
  await makeDisk(other, tree, 400);
  expectSound(other);
  const after = [...clustersOf(other)];
  expect(after.length).toBeGreaterThan(85);
  // Inodes, directories, and what follows the new files in their groups.
  expect(after.filter((cluster) => !before.has(cluster)).length).toBeLessThan(25);
});

test('on a disk without room for that, files stay and directories lie together', async () => {
  const tree = join(stage.directory, 'full-tree');
  for (let index = 0; index < 1500; index++) {
    const directory = join(tree, `package-${index % 20}`);
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, `${index}`), Buffer.alloc(8000, `${index} `));
  }
  for (let index = 0; index < 12; index++)
    writeFileSync(join(tree, `large-${index}`), Buffer.alloc(1_200_000, 'x'));
  const full = join(stage.directory, 'full.raw');
  await makeDisk(full, tree, 31);
  expectSound(full);
  const volume = volumeOf(full);
  const blocks = Array.from({ length: 20 }, (_, index) => blocksOf(volume, `/package-${index}`)).flat();
  expect(Math.max(...blocks) - Math.min(...blocks)).toBeLessThan(60);
  expect(debugfs(volume, 'cat /package-3/1003')).toBe(readFileSync(join(tree, 'package-3/1003'), 'utf8'));
});

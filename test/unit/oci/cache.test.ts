// The cache on disk: what it evicts, what it believes, what it does where it may not write.

import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCache } from '../../../image-builder/oci/cache.ts';
import { digestOf, splitDigest } from '../../../image-builder/oci/digest.ts';

const LIMIT = 10_000;
const HOUR = 3600;
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cache-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const open = async (limit = LIMIT) => {
  const cache = await openCache(join(directory, 'cache'), limit);
  if (!cache) throw new Error('no cache');
  return cache;
};
const content = (name: string, bytes = 3000) => Buffer.alloc(bytes, name);
const pathOf = (name: string, bytes?: number) =>
  join(directory, 'cache/blobs/sha256', splitDigest(digestOf(content(name, bytes))).hex);
const age = (path: string, hours: number) => {
  const then = Date.now() / 1000 - hours * HOUR;
  utimesSync(path, then, then);
};

it('lets go first what was used least recently, and makes some room', async () => {
  const cache = await open();
  for (const name of ['a', 'b', 'c']) await cache.put(digestOf(content(name)), content(name));
  await cache.remember('tags', 'old', 'x');
  await cache.close();
  for (const [name, hours] of [
    ['a', 9],
    ['b', 8],
    ['c', 7],
  ] as const)
    age(pathOf(name), hours);
  const next = await open();
  // The oldest, but used now.
  expect(await next.get(digestOf(content('a')))).toEqual(content('a'));
  await next.put(digestOf(content('d')), content('d'));
  await next.close();
  // 12 KB and a record were there; at most 8 KB (four fifths of the limit) are left.
  expect(['a', 'b', 'c', 'd'].map((name) => existsSync(pathOf(name)))).toEqual([true, false, false, true]);
  expect(await next.recall('tags', 'old')).toBe('x');
});

it('evicts nothing below its limit, and nothing when it only read', async () => {
  const cache = await open();
  for (const name of ['a', 'b', 'c']) await cache.put(digestOf(content(name)), content(name));
  await cache.close();
  const reader = await open(1000);
  await reader.get(digestOf(content('a')));
  await reader.close();
  expect(['a', 'b', 'c'].map((name) => existsSync(pathOf(name)))).toEqual([true, true, true]);
});

it('does not keep what is large, such as disk images', async () => {
  const cache = await open(1 << 30);
  const large = content('l', 9 * 1024 * 1024);
  await cache.put(digestOf(large), large);
  expect(existsSync(pathOf('l', large.length))).toBe(false);
});

it('removes what a killed process left unfinished, once it is old', async () => {
  const cache = await open();
  const tags = join(directory, 'cache/tags');
  mkdirSync(tags);
  const [fresh, stale] = [1, 2].map((n) => `.image-builder-00000000-0000-4000-8000-00000000000${n}`) as [
    string,
    string,
  ];
  for (const name of [fresh, stale]) writeFileSync(join(tags, name), 'x');
  age(join(tags, stale), 2);
  await cache.put(digestOf(content('a')), content('a'));
  await cache.close();
  expect(readdirSync(tags)).toEqual([fresh]);
});

it.each([
  ['damaged', (path: string) => writeFileSync(path, content('x'))],
  ['cut off', (path: string) => writeFileSync(path, content('a').subarray(1))],
  ['empty', (path: string) => writeFileSync(path, '')],
])('does not believe content that is %s, and removes it', async (_, damage) => {
  const cache = await open();
  const digest = digestOf(content('a'));
  await cache.put(digest, content('a'));
  damage(pathOf('a'));
  expect(await cache.get(digest)).toBeUndefined();
  expect(existsSync(pathOf('a'))).toBe(false);
  await cache.put(digest, content('a'));
  expect(await cache.get(digest)).toEqual(content('a'));
});

it('does not believe a record that was changed', async () => {
  const cache = await open();
  await cache.remember('tags', 'site/bundle:v1', 'sha256:right');
  const [name = ''] = readdirSync(join(directory, 'cache/tags'));
  const path = join(directory, 'cache/tags', name);
  for (const text of ['', 'no newline', 'sha256:wrong\n"sha256:forged"']) {
    await cache.remember('tags', 'site/bundle:v1', 'sha256:right');
    writeFileSync(path, text);
    expect(await cache.recall('tags', 'site/bundle:v1')).toBeUndefined();
  }
});

it('makes a directory for its owner alone', async () => {
  await open();
  expect(statSync(join(directory, 'cache')).mode & 0o777).toBe(0o700);
});

it.each([0o777, 0o775, 0o702])('is not used where others may write (%o)', async (mode) => {
  mkdirSync(join(directory, 'cache'));
  chmodSync(join(directory, 'cache'), mode);
  expect(await openCache(join(directory, 'cache'))).toBeUndefined();
});

it('is not used where it is not a directory', async () => {
  writeFileSync(join(directory, 'cache'), '');
  expect(await openCache(join(directory, 'cache'))).toBeUndefined();
  expect(await openCache(join(directory, 'cache/below'))).toBeUndefined();
});

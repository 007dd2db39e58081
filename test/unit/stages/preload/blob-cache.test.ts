// What the cache of blobs keeps, believes and forgets.
import {
  linkSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf } from '../../../../image-builder/oci/digest.ts';
import { BlobCache } from '../../../../image-builder/stages/preload/blob-cache.ts';

const directory = mkdtempSync(join(tmpdir(), 'blob-cache-'));
afterAll(() => rmSync(directory, { recursive: true }));
const signal = new AbortController().signal;
const blob = (text: string) => {
  const content = Buffer.from(text);
  const digest = digestOf(content);
  return { content, digest, path: join(directory, 'cache', digest.slice('sha256:'.length)) };
};
const old = new Date(Date.now() - 31 * 24 * 3600 * 1000);
async function* pieces(...list: Buffer[]) {
  yield* list;
}
const never = () => {
  throw new Error('fetched');
};

test('what nobody has used for a month is forgotten, unless the store has it, too', async () => {
  const cache = await BlobCache.open(join(directory, 'cache'));
  const [unused, used, stored] = [blob('unused'), blob('used'), blob('stored')];
  for (const { digest, content, path } of [unused, used, stored]) {
    await cache.put(digest, content);
    utimesSync(path, old, old);
  }
  linkSync(stored.path, join(directory, 'entry'));
  expect(await cache.ensure(used, never, signal)).toBe(used.path);
  expect(await cache.get(stored.digest)).toEqual(stored.content);
  await BlobCache.open(join(directory, 'cache'));
  expect(readdirSync(join(directory, 'cache')).sort()).toEqual(
    [used, stored].map(({ digest }) => digest.slice('sha256:'.length)).sort(),
  );
  // The store notices other times.
  expect(Math.round(statSync(stored.path).mtimeMs)).toBe(old.getTime());
});

test('a damaged blob is fetched again into a file of its own, and one that breaks off is not kept', async () => {
  const cache = await BlobCache.open(join(directory, 'cache'));
  const { content, digest, path } = blob('content');
  writeFileSync(path, 'damaged');
  linkSync(path, join(directory, 'other'));
  expect(await cache.get(digest)).toBeUndefined();
  async function* broken() {
    yield content.subarray(0, 3);
    throw new Error('broken off');
  }
  await expect(cache.ensure({ digest }, broken, signal)).rejects.toThrow('broken off');
  expect(readFileSync(path, 'utf8')).toBe('damaged');
  await cache.ensure({ digest }, () => pieces(content.subarray(0, 3), content.subarray(3)), signal);
  expect(readFileSync(path)).toEqual(content);
  expect(readFileSync(join(directory, 'other'), 'utf8')).toBe('damaged');
  expect(readdirSync(join(directory, 'cache')).filter((name) => name.startsWith('.'))).toEqual([]);
});

test('a digest by another algorithm is refused', async () => {
  const cache = await BlobCache.open(join(directory, 'cache'));
  await expect(cache.get(`sha512:${'0'.repeat(128)}`)).rejects.toMatchObject({ code: 'INVALID_MANIFEST' });
});

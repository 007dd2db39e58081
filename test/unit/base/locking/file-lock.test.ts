// Whoever holds a lock empties its file: so it is never a file that somebody else has put under the lock's name.
import { linkSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { acquireLock, tryLock } from '../../../../image-builder/base/locking/file-lock.ts';

let directory: string;
let victim: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lock-'));
  victim = join(directory, 'victim');
  writeFileSync(victim, 'precious');
});
afterEach(() => rmSync(directory, { recursive: true }));

test.each([
  ['symbolic link', symlinkSync, /is a symbolic link/],
  ['hard link', linkSync, /a hard link to a file/],
])('a %s is no lock, and its target stays as it is', async (_, place, message) => {
  const path = join(directory, 'lock');
  place(victim, path);
  await expect(tryLock(path)).rejects.toMatchObject({
    code: 'LOCK_FAILED',
    message: expect.stringMatching(message),
  });
  await expect(acquireLock(path)).rejects.toMatchObject({ code: 'LOCK_FAILED' });
  expect(readFileSync(victim, 'utf8')).toBe('precious');
});

test('an ordinary lock is taken, noted in and taken again', async () => {
  const path = join(directory, 'lock');
  const lock = await acquireLock(path);
  await lock.note('busy');
  expect(readFileSync(path, 'utf8')).toBe('busy\n');
  expect(await tryLock(path)).toBeUndefined();
  await lock.release();
  const again = await tryLock(path);
  expect(again).toBeDefined();
  await again?.release();
});

test('whoever waits no longer is told so by an error of ours', async () => {
  const path = join(directory, 'lock');
  const lock = await acquireLock(path);
  const abort = new AbortController();
  const waiting = acquireLock(path, { signal: abort.signal, onWait: () => abort.abort() });
  await expect(waiting).rejects.toMatchObject({ code: 'CANCELLED' });
  await lock.release();
  await expect(acquireLock(path, { signal: abort.signal })).rejects.toMatchObject({ code: 'CANCELLED' });
});

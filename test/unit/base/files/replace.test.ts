// Files that appear whole: under names that nobody can guess, through no link, with nothing left behind.
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  makeBeside,
  replaceFile,
  sweepLeftovers,
  writeBeside,
} from '../../../../image-builder/base/files/replace.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'replace-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

test('replaces a file, with the mode that was asked for', async () => {
  const path = join(directory, 'file');
  writeFileSync(path, 'a longer text than the new one');
  await replaceFile(path, 'new', { mode: 0o600, durable: true });
  expect(readFileSync(path, 'utf8')).toBe('new');
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(directory)).toEqual(['file']);
});

test('a name of 255 bytes can be replaced', async () => {
  const path = join(directory, 'n'.repeat(255));
  await replaceFile(path, 'x');
  expect(readFileSync(path, 'utf8')).toBe('x');
});

test('a link in place is replaced, its target stays as it is', async () => {
  const victim = join(directory, 'victim');
  writeFileSync(victim, 'precious');
  symlinkSync(victim, join(directory, 'file'));
  await replaceFile(join(directory, 'file'), 'new');
  expect(readFileSync(victim, 'utf8')).toBe('precious');
  expect(readFileSync(join(directory, 'file'), 'utf8')).toBe('new');
});

test('a link at the temporary name is not followed', async () => {
  const victim = join(directory, 'victim');
  writeFileSync(victim, 'precious');
  const uuid = jest.spyOn(crypto, 'randomUUID').mockReturnValue('00000000-0000-4000-8000-000000000000');
  symlinkSync(victim, join(directory, '.image-builder-00000000-0000-4000-8000-000000000000'));
  try {
    await expect(replaceFile(join(directory, 'file'), 'new')).rejects.toMatchObject({ code: 'EEXIST' });
  } finally {
    uuid.mockRestore();
  }
  expect(readFileSync(victim, 'utf8')).toBe('precious');
});

test('what fails leaves the old file and nothing else', async () => {
  const path = join(directory, 'file');
  writeFileSync(path, 'old');
  const broken = writeBeside(path, async (file) => {
    await file.writeFile('half');
    throw new Error('broken');
  });
  await expect(broken).rejects.toThrow('broken');
  await expect(makeBeside(path, (temporary) => mkdir(temporary))).rejects.toThrow(/ENOTDIR|EISDIR/);
  expect(readFileSync(path, 'utf8')).toBe('old');
  expect(readdirSync(directory)).toEqual(['file']);
});

test('only old leftovers of its own names are swept', async () => {
  const old = join(directory, '.image-builder-00000000-0000-4000-8000-000000000000');
  const fresh = join(directory, '.image-builder-00000000-0000-4000-8000-000000000001');
  const other = join(directory, '.image-builder-notes');
  for (const path of [old, fresh, other]) writeFileSync(path, '');
  for (const path of [old, other]) utimesSync(path, 0, 0);
  await sweepLeftovers(directory);
  expect([old, fresh, other].map((path) => existsSync(path))).toEqual([false, true, true]);
  await sweepLeftovers(directory, 0);
  expect([fresh, other].map((path) => existsSync(path))).toEqual([false, true]);
  await sweepLeftovers(join(directory, 'absent'));
});

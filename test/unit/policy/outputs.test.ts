// Where a spec can have something written.
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SpecOutputs } from '../../../image-builder/policy/outputs.ts';

const directory = realpathSync(mkdtempSync(join(tmpdir(), 'image-builder-outputs-')));
afterAll(() => rmSync(directory, { recursive: true }));
const cwd = join(directory, 'work');
mkdirSync(join(cwd, 'sub'), { recursive: true });
mkdirSync(join(cwd, '.git'));
writeFileSync(join(cwd, 'taken'), '');
symlinkSync(directory, join(cwd, 'out-of-here'));
symlinkSync('../new', join(cwd, 'dangling'));
symlinkSync('sub', join(cwd, 'inward'));
const outputs = new SpecOutputs(cwd, [join(directory, 'allowed')]);

const file = (path: string, isEarlier = false) =>
  outputs
    .requireFile(path, async () => isEarlier, 'OCI archive')
    .then(
      (found) => found,
      ({ code }) => code,
    );
const tree = (path: string, below: string[] = []) =>
  outputs.requireDirectory(path, below).then(
    (found) => found,
    ({ code }) => code,
  );

test.each(['new', 'sub/new', 'new/new', 'inward/new'])('%s may be made', async (path) => {
  expect(await file(path)).toBe(join(cwd, path));
  expect(await tree(path)).toBe(join(cwd, path));
});

test.each([
  '../new',
  '/etc/new',
  'out-of-here/new',
  'sub/../../new',
  'dangling',
  'dangling/new',
  '.git/hooks/post-checkout',
])('%s may not', async (path) => {
  expect(await file(path)).toBe('PATH_OUTSIDE');
  expect(await tree(path)).toBe('PATH_OUTSIDE');
});

test('what a policy adds may be made', async () => {
  expect(await tree('../allowed')).toBe('PATH_OUTSIDE');
  mkdirSync(join(directory, 'allowed'));
  const again = new SpecOutputs(cwd, [join(directory, 'allowed')]);
  expect(await again.requireDirectory('../allowed/out', [])).toBe(join(directory, 'allowed/out'));
});

test('only an earlier result is replaced', async () => {
  expect(await file('taken')).toBe('OUTPUT_TAKEN');
  expect(await file('taken', true)).toBe(join(cwd, 'taken'));
  expect(await file('sub', true)).toBe('OUTPUT_TAKEN');
  // Not even a link to one: what the name stands for would change.
  symlinkSync('taken', join(cwd, 'link'));
  expect(await file('link', true)).toBe('OUTPUT_TAKEN');
});

test('no part of a layout leads out of it', async () => {
  mkdirSync(join(cwd, 'layout'));
  symlinkSync(directory, join(cwd, 'layout/blobs'));
  expect(await tree('layout', ['blobs', 'blobs/sha256'])).toBe('PATH_OUTSIDE');
});

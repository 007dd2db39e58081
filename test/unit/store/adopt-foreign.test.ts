// What a container leaves in its directory: only what it was asked for, and only if it is what it says.
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { adoptForeign } from '../../../image-builder/store/adopt-foreign.ts';
import { checkEntry, readEntry } from '../../../image-builder/store/entry.ts';
import { openStore, prepareStore, type Store } from '../../../image-builder/store/store.ts';

const directory = mkdtempSync(join(tmpdir(), 'image-builder-adopt-'));
afterAll(() => rmSync(directory, { recursive: true }));
const secret = join(directory, 'secret');
writeFileSync(secret, 'content');

const sha256 = createHash('sha256').update('content').digest('hex');
const expected = { kind: 'rootfs', key: 'a'.repeat(64), recipe: 'b'.repeat(64), name: 'rootfs' };
const record = (changes: object = {}) => ({
  kind: expected.kind,
  key: expected.key,
  recipe: expected.recipe,
  stage: 'another',
  build: 'another',
  tools: {},
  parents: {},
  inputs: {},
  facts: {},
  createdAt: '2026-01-01T00:00:00.000Z',
  seconds: 1,
  files: { 'layout/file': { size: 7, sha256 } },
  ...changes,
});

let count = 0;
let store: Store;
/** Directory of the entries that a container has left. */
let entries: string;
let left: string;
beforeEach(async () => {
  count += 1;
  store = await openStore(join(directory, `store-${count}`));
  await prepareStore(store);
  entries = join(store.directory, 'work', 'store', 'entries');
  left = join(entries, `rootfs-${expected.key}`);
  mkdirSync(join(left, 'layout'), { recursive: true });
  writeFileSync(join(left, 'layout/file'), 'content');
  writeFileSync(join(left, 'entry.json'), JSON.stringify(record()));
});
const adopt = (known: Parameters<typeof adoptForeign>[3]['known'] = []) =>
  adoptForeign(store, entries, [expected], { build: 'node', known, signal: new AbortController().signal });
const inStore = () => readdirSync(join(store.directory, 'entries'));

test('what was asked for becomes an entry of this machine, and nothing else does', async () => {
  mkdirSync(join(entries, `rootfs-${'c'.repeat(64)}`));
  writeFileSync(join(left, 'origin'), 'key:x');
  writeFileSync(join(left, 'more'), 'x');
  await adopt();
  expect(inStore()).toEqual([`rootfs-${expected.key}`]);
  const entry = await readEntry(store, expected);
  expect(entry).toMatchObject({ origin: 'build', stage: 'rootfs', build: 'node' });
  if (entry) await checkEntry(entry, 'full');
  expect(readdirSync(entry?.directory ?? '').sort()).toEqual([
    'entry.json',
    'layout',
    'origin',
    'snapshot.json',
  ]);
});

test('a file that an entry of the store has is not there twice', async () => {
  const known = {
    ...record({ files: { same: { size: 7, sha256 } } }),
    directory: join(directory, 'known'),
  };
  mkdirSync(known.directory, { recursive: true });
  writeFileSync(join(known.directory, 'same'), 'content');
  await adopt([known]);
  expect(statSync(join(store.directory, 'entries', `rootfs-${expected.key}`, 'layout/file')).ino).toBe(
    statSync(join(known.directory, 'same')).ino,
  );
});

test.each<[string, () => void, RegExp]>([
  ['other content', () => writeFileSync(join(left, 'layout/file'), 'CONTENT'), /has the digest/],
  ['a file that is missing', () => rmSync(join(left, 'layout/file')), /layout\/file is missing/],
  ['no record', () => rmSync(join(left, 'entry.json')), /it has no record/],
  [
    'another recipe',
    () => writeFileSync(join(left, 'entry.json'), JSON.stringify(record({ recipe: 'c'.repeat(64) }))),
    /its recipe differs/,
  ],
  [
    'the record of another',
    () => writeFileSync(join(left, 'entry.json'), JSON.stringify(record({ key: 'c'.repeat(64) }))),
    /belongs to another entry/,
  ],
  [
    'a file that leads out',
    () =>
      writeFileSync(
        join(left, 'entry.json'),
        JSON.stringify(record({ files: { '../../../../../secret': { size: 7, sha256 } } })),
      ),
    /has a file named/,
  ],
  [
    'a link for a file',
    () => {
      rmSync(join(left, 'layout/file'));
      symlinkSync(secret, join(left, 'layout/file'));
    },
    /neither a file nor a directory/,
  ],
  [
    'a link for a directory',
    () => {
      rmSync(join(left, 'layout'), { recursive: true });
      symlinkSync(directory, join(left, 'layout'));
      writeFileSync(
        join(left, 'entry.json'),
        JSON.stringify(record({ files: { 'layout/secret': { size: 7, sha256 } } })),
      );
    },
    /neither a file nor a directory/,
  ],
  [
    'a link for the entry',
    () => {
      rmSync(left, { recursive: true });
      symlinkSync(directory, left);
    },
    /it is not a directory/,
  ],
  ['a link for the mark', () => symlinkSync(secret, join(left, 'origin')), /neither a file nor a directory/],
])('%s', async (_, change, reason) => {
  change();
  await expect(adopt()).rejects.toThrow(reason);
  expect(inStore()).toEqual([]);
  expect(readFileSync(secret, 'utf8')).toBe('content');
});

test('a link for all of them', async () => {
  rmSync(entries, { recursive: true });
  mkdirSync(join(directory, 'elsewhere', `rootfs-${expected.key}`), { recursive: true });
  symlinkSync(join(directory, 'elsewhere'), entries);
  await adopt();
  expect(inStore()).toEqual([]);
  expect(existsSync(join(directory, 'elsewhere', `rootfs-${expected.key}`))).toBe(true);
});

// Entries as files: out of one store and into another, and what is refused on the way.
import { createHash } from 'node:crypto';
import {
  createWriteStream,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { pack } from 'tar-stream';
import { isTemporary } from '../../../image-builder/base/files/replace.ts';
import { findEntry } from '../../../image-builder/pipeline/lookup.ts';
import { type Entry, entryName } from '../../../image-builder/store/entry.ts';
import { exportEntries } from '../../../image-builder/store/export.ts';
import { importEntries } from '../../../image-builder/store/import.ts';
import { findByKey, withAncestors } from '../../../image-builder/store/select.ts';
import { openStore, type Store } from '../../../image-builder/store/store.ts';
import { type SmallInputs, smallBuild, smallPlan } from '../build/small-stages.ts';

jest.setTimeout(120_000);

const scratch = mkdtempSync(join(tmpdir(), 'image-builder-test-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const at = (name: string) => join(scratch, name);
const { signal } = new AbortController();
const inputs: SmallInputs = { content: 'c', setting: 's', images: { a: '1', b: '2' } };

let store: Store;
let bundle: Entry;
beforeAll(async () => {
  bundle = await smallBuild(at('store'), inputs);
  store = await openStore(at('store'));
});

let others = 0;
const newStore = () => openStore(at(`other-${others++}`));
const namesIn = ({ directory }: Store) =>
  existsSync(join(directory, 'entries')) ? readdirSync(join(directory, 'entries')).sort() : [];
/** Work directories; nothing when all is well. */
const leftovers = ({ directory }: Store) => readdirSync(join(directory, 'work'));

test('what was exported with its stages is not built again elsewhere', async () => {
  const entries = await withAncestors(store, bundle);
  expect(entries.map(({ stage }) => stage)).toEqual(['rootfs', 'osconfig', 'qcow/a', 'qcow/b', 'bundle']);
  const { sha256, size } = await exportEntries(entries, at('all.tar'), signal);
  const bytes = readFileSync(at('all.tar'));
  expect([bytes.length, createHash('sha256').update(bytes).digest('hex')]).toEqual([size, sha256]);

  const other = await newStore();
  const imported = await importEntries(other, at('all.tar'), { sha256: sha256.toUpperCase(), signal });
  expect(imported).toEqual(entries.map((entry) => ({ name: entryName(entry), outcome: 'imported' })));
  expect(namesIn(other)).toEqual(namesIn(store));
  expect(leftovers(other)).toEqual([]);
  for (const stage of smallPlan(inputs)) expect(await findEntry(other, stage)).toBeDefined();
  const events: string[] = [];
  await smallBuild(
    other.directory,
    { ...inputs, setting: 'new' },
    {
      report: (event) => {
        if (event.type === 'stage' && event.status === 'finished') events.push(event.stage);
      },
    },
  );
  expect(events).not.toContain('rootfs');

  const again = await importEntries(other, at('all.tar'), { signal });
  expect(new Set(again.map(({ outcome }) => outcome))).toEqual(new Set(['present']));
});

test('the same entries give the same bytes', async () => {
  const first = await exportEntries([bundle], at('one.tar'), signal);
  expect(await exportEntries([bundle], at('two.tar'), signal)).toEqual(first);
});

test('a damaged entry is not exported, and is replaced by an import', async () => {
  const other = await newStore();
  await exportEntries([bundle], at('good.tar'), signal);
  await importEntries(other, at('good.tar'), { signal });
  const entry = await findByKey(other, bundle.key);
  if (!entry) throw new Error('no entry');
  writeFileSync(join(entry.directory, 'digests'), 'x'.repeat(entry.files.digests?.size ?? 0));
  await expect(exportEntries([entry], at('bad.tar'), signal)).rejects.toMatchObject({
    code: 'STORE_ENTRY_CORRUPT',
  });
  writeFileSync(join(entry.directory, 'digests'), 'short');
  await expect(exportEntries([entry], at('bad.tar'), signal)).rejects.toMatchObject({
    code: 'STORE_ENTRY_CORRUPT',
  });
  expect(readdirSync(scratch).filter((name) => name === 'bad.tar' || isTemporary(name))).toEqual([]);
  expect(await importEntries(other, at('good.tar'), { signal })).toMatchObject([{ outcome: 'imported' }]);
  expect(await exportEntries([entry], at('bad.tar'), signal)).toBeDefined();
});

describe('a hostile archive is refused, and nothing of it stays', () => {
  type Item = {
    name: string;
    type?: 'file' | 'symlink' | 'link' | 'directory';
    linkname?: string;
    text?: string;
  };
  const content = 'content';
  const sha256 = createHash('sha256').update(content).digest('hex');
  const key = 'a'.repeat(64);
  const name = `bundle-${key}`;
  const record = (changes: Record<string, unknown> = {}) =>
    JSON.stringify({
      ...{ kind: 'bundle', key, recipe: 'b'.repeat(64), stage: 'bundle', build: 'x' },
      ...{ tools: {}, parents: {}, inputs: {}, facts: {}, createdAt: '', seconds: 1 },
      files: { file: { size: content.length, sha256 } },
      ...changes,
    });
  const list = (entries: unknown = [name], format: unknown = 1): Item => ({
    name: 'export.json',
    text: JSON.stringify({ format, entries }),
  });
  const entry = (text = record()): Item => ({ name: `entries/${name}/entry.json`, text });
  const file = (changes: Partial<Item> = {}): Item => ({
    name: `entries/${name}/file`,
    text: content,
    ...changes,
  });
  const files = (path: string, changes: object = {}) => ({
    files: { [path]: { size: content.length, sha256, ...changes } },
  });

  async function importItems(items: readonly Item[]): Promise<Store> {
    const archive = pack();
    for (const { text = '', ...header } of items) archive.entry(header, text);
    archive.finalize();
    await pipeline(archive, createWriteStream(at('hostile.tar')));
    const other = await newStore();
    try {
      await importEntries(other, at('hostile.tar'), { signal });
    } finally {
      expect(leftovers(other)).toEqual([]);
      expect(existsSync(at('escaped'))).toBe(false);
    }
    return other;
  }

  test('the archive that the others are made of is fine', async () => {
    expect(namesIn(await importItems([list(), entry(), file()]))).toEqual([name]);
  });

  test.each<[string, Item[]]>([
    ['no list', [entry(), file()]],
    ['a list of another format', [list([name], 2), entry(), file()]],
    ['a list that is not JSON', [{ name: 'export.json', text: '{' }]],
    ['an entry that leads out', [list(['../../escaped']), entry(), file()]],
    ['an entry twice', [list([name, name]), entry(), file()]],
    ['a record of another entry', [list(), entry(record({ key: 'c'.repeat(64) })), file()]],
    ['a recipe that leads out', [list(), entry(record({ recipe: '../../../escaped' })), file()]],
    [
      'a file that leads out',
      [list(), entry(record(files('../../../escaped'))), file({ name: `entries/${name}/../../../escaped` })],
    ],
    [
      'an absolute file',
      [list(), entry(record(files('/tmp/escaped'))), file({ name: `entries/${name}//tmp/escaped` })],
    ],
    [
      'a file in place of the record',
      [list(), entry(record(files('entry.json'))), file({ name: `entries/${name}/entry.json` })],
    ],
    [
      'a file in place of the time stamps',
      [list(), entry(record(files('snapshot.json'))), file({ name: `entries/${name}/snapshot.json` })],
    ],
    [
      'a file that the record does not name',
      [list(), entry(), file({ name: `entries/${name}/more` }), file()],
    ],
    ['a file outside of its entry', [list(), entry(), { name: 'escaped', text: content }, file()]],
    ['a file twice', [list(), entry(), file(), file()]],
    ['a file that is missing', [list(), entry()]],
    ['an entry that is missing', [list([name, `rootfs-${key}`]), entry(), file()]],
    ['a link', [list(), entry(), file({ type: 'symlink', linkname: '/etc/passwd', text: '' })]],
    ['a hard link', [list(), entry(), file({ type: 'link', linkname: '/etc/passwd', text: '' })]],
    ['a directory', [list(), { name: `entries/${name}`, type: 'directory' }, entry(), file()]],
    ['other content', [list(), entry(), file({ text: 'CONTENT' })]],
    ['more content', [list(), entry(), file({ text: `${content}!` })]],
    ['less content', [list(), entry(), file({ text: 'c' })]],
    ['a size that is none', [list(), entry(record(files('file', { size: -1 }))), file()]],
    ['a digest that is none', [list(), entry(record(files('file', { sha256: 'x' }))), file()]],
    ['a record without files', [list(), entry(record({ files: null })), file()]],
  ])('%s', async (_, items) => {
    await expect(importItems(items)).rejects.toMatchObject({ code: 'STORE_ARCHIVE_INVALID' });
  });

  test.each([
    ['cut short', (bytes: Buffer) => bytes.subarray(0, bytes.length / 2)],
    ['not a tar', () => Buffer.alloc(4096, 7)],
    ['empty', () => Buffer.alloc(0)],
  ])('%s', async (_, change) => {
    await exportEntries([bundle], at('whole.tar'), signal);
    writeFileSync(at('broken.tar'), change(readFileSync(at('whole.tar'))));
    const other = await newStore();
    await expect(importEntries(other, at('broken.tar'), { signal })).rejects.toMatchObject({
      code: 'STORE_ARCHIVE_INVALID',
    });
    expect([namesIn(other), leftovers(other)]).toEqual([[], []]);
  });

  test('another archive than the one that was announced', async () => {
    await exportEntries([bundle], at('whole.tar'), signal);
    const other = await newStore();
    await expect(
      importEntries(other, at('whole.tar'), { sha256: '0'.repeat(64), signal }),
    ).rejects.toMatchObject({ code: 'STORE_ARCHIVE_INVALID' });
    expect(namesIn(other)).toEqual([]);
  });

  test('a later entry that is bad keeps the good ones before it out', async () => {
    const second = `qcow-${key}`;
    const bad = { name: `entries/${second}/entry.json`, text: record({ kind: 'qcow' }) };
    await expect(
      importItems([
        list([name, second]),
        entry(),
        file(),
        bad,
        { name: `entries/${second}/file`, text: 'CONTENT' },
      ]),
    ).rejects.toMatchObject({ code: 'STORE_ARCHIVE_INVALID' });
    expect(namesIn(await openStore(at(`other-${others - 1}`)))).toEqual([]);
  });
});

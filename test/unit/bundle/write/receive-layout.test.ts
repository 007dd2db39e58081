// A bundle that comes as a tar of its layout: what is damaged or foreign never becomes part of a layout.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { layoutHasDigest, receiveLayout } from '../../../../image-builder/bundle/write/receive-layout.ts';
import { ownBundle } from '../../../support/bundles.ts';
import { makeTar, type TestEntry, writeLayout } from '../../../support/images.ts';

let directory: string;
let entries: TestEntry[];
let digest: string;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'receive-'));
  const sent = join(directory, 'sent');
  await writeLayout(sent, ownBundle({ qcowBytes: 100_000 }));
  digest = JSON.parse(readFileSync(join(sent, 'index.json'), 'utf8')).manifests[0].digest;
  const files = readdirSync(sent, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  entries = files.map((file) => {
    const path = join(file.parentPath, file.name);
    return { name: path.slice(sent.length + 1), content: readFileSync(path) };
  });
});
afterEach(() => rmSync(directory, { recursive: true }));

const target = () => join(directory, 'layout');
const receive = async (sent: TestEntry[], wanted = digest) =>
  receiveLayout(
    Readable.from([await makeTar(sent)]),
    target(),
    { tag: 'v1', digest: wanted },
    new AbortController().signal,
  );

test('arrives whole, and twice is as good as once', async () => {
  expect(await layoutHasDigest(target(), 'v1', digest)).toBe(false);
  await receive(entries);
  await receive(entries);
  expect(await layoutHasDigest(target(), 'v1', digest)).toBe(true);
  expect(await layoutHasDigest(target(), 'v2', digest)).toBe(false);
  expect(readdirSync(join(target(), 'blobs'))).toEqual(['sha256']);
});

const isBlob = ({ name }: TestEntry) => name.startsWith('blobs/');
test.each<[string, () => TestEntry[]]>([
  [
    'other content in a blob',
    () => entries.map((one) => (isBlob(one) ? { ...one, content: Buffer.from('x') } : one)),
  ],
  [
    'other content of the same size in a layer',
    () => {
      const size = ({ content = '' }: TestEntry) => content.length;
      const layer = entries.reduce((largest, one) => (size(one) > size(largest) ? one : largest));
      return entries.map((one) => (one === layer ? { ...one, content: Buffer.alloc(size(one)) } : one));
    },
  ],
  ['a blob too few', () => entries.filter((one) => one !== entries.find(isBlob))],
  [
    'an index that is none',
    () => entries.map((one) => (one.name === 'index.json' ? { ...one, content: Buffer.from('{}') } : one)),
  ],
  ['no index', () => entries.filter(({ name }) => name !== 'index.json')],
  ['nothing at all', () => []],
])('is refused with %s', async (_, sent) => {
  await expect(receive(sent())).rejects.toMatchObject({ code: 'BUNDLE_WRITE_FAILED' });
  expect(existsSync(join(target(), 'index.json'))).toBe(false);
  expect(readdirSync(join(target(), 'blobs')).filter((name) => name.startsWith('.'))).toEqual([]);
});

test('is refused when it is another bundle than the one that was built', async () => {
  await expect(receive(entries, `sha256:${'0'.repeat(64)}`)).rejects.toMatchObject({
    code: 'BUNDLE_WRITE_FAILED',
  });
});

test('writes nothing outside of the layout', async () => {
  const hostile: TestEntry[] = [
    { name: '../escaped', content: Buffer.from('x') },
    { name: '/tmp/escaped-from-a-layout', content: Buffer.from('x') },
    { name: 'blobs/sha256/../../escaped', content: Buffer.from('x') },
  ];
  await receive([...hostile, ...entries]);
  expect(readdirSync(directory).sort()).toEqual(['layout', 'sent']);
  expect(existsSync('/tmp/escaped-from-a-layout')).toBe(false);
  expect(readdirSync(target()).sort()).toEqual(['blobs', 'index.json', 'oci-layout']);
});

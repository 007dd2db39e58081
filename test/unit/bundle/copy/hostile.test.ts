// `copy` of bundles that were made to replace files, to fill disks, or to write elsewhere.

import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
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
import { findingsOf, formatFinding } from '../../../../image-builder/base/diagnostics/error.ts';
import { type CopyOptions, copyBundle } from '../../../../image-builder/bundle/copy/copy-disks.ts';
import { readBundle } from '../../../../image-builder/bundle/read/read-bundle.ts';
import { ownBundle, predecessorBundle } from '../../../support/bundles.ts';
import { makeTar, type TestEntry, type TestLayer, writeLayout } from '../../../support/images.ts';

jest.setTimeout(30_000);
const GIB = 1024 ** 3;

let directory: string;
let count = 0;
const at = (name: string) => join(directory, name);
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'copy-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

async function bundleOf(...layers: TestLayer[]): Promise<string> {
  const layout = at(`layout-${count++}`);
  await writeLayout(layout, { layers });
  return `oci:${layout}`;
}
const copy = (reference: string, options: CopyOptions = {}, names: string[] = []) =>
  copyBundle(reference, at('target'), names, options);
const files = (name = 'target') => readdirSync(at(name)).sort();

/** A sparse file in the way of PAX 0.1, of one byte and a hole. */
async function sparse(name: string, size: number): Promise<Buffer> {
  const records = [
    ['GNU.sparse.major', '0'],
    ['GNU.sparse.minor', '1'],
    ['GNU.sparse.name', name],
    ['GNU.sparse.realsize', String(size)],
    ['GNU.sparse.map', '0,1'],
  ].map(([key, value]) => {
    const length = `${key}${value}`.length + 3;
    return `${length + String(length + String(length).length).length} ${key}=${value}\n`;
  });
  const header = await makeTar([{ name: 'PaxHeaders/x', content: records.join('') }]);
  header.write('x', 156);
  const plain = await makeTar([{ name, content: 'q' }]);
  // The type changes the checksum.
  header.write('        ', 148);
  const sum = header.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([header.subarray(0, 1024), plain.subarray(0, 1024)]);
}

describe('names', () => {
  const odd: TestEntry[] = [
    { name: 'qcows/a.qcow2', content: 'image' },
    { name: 'qcows/a.qcow2.md5sum', content: createHash('md5').update('image').digest('hex') },
    { name: 'iso/b.iso', content: 'iso' },
    { name: 'qcows/kustomization.yaml', content: 'resources: [evil]' },
    { name: 'qcows/.bashrc', content: 'echo pwned' },
    { name: 'qcows/.qcow2', content: 'q' },
    { name: 'qcows/-rf.qcow2', content: 'q' },
    { name: 'qcows/x\x1b[31m.qcow2', content: 'q' },
    { name: 'qcows/a b.qcow2', content: 'q' },
    { name: 'qcows/sub/c.qcow2', content: 'q' },
    { name: 'qcows/../../up.qcow2', content: 'q' },
    { name: 'qcows/a.qcow2.sh', content: 'q' },
  ];

  it('of images and their checksums alone are copied out of a bundle that says nothing', async () => {
    mkdirSync(at('target'));
    writeFileSync(at('target/kustomization.yaml'), 'mine');
    const { leftOut } = await copy(await bundleOf({ entries: odd }));
    expect(files()).toEqual(['a.qcow2', 'a.qcow2.md5sum', 'b.iso', 'kustomization.yaml']);
    expect(readFileSync(at('target/kustomization.yaml'), 'utf8')).toBe('mine');
    expect(leftOut).toEqual(expect.arrayContaining(['.bashrc', 'kustomization.yaml', 'x\x1b[31m.qcow2']));
  });

  it('that are none cannot be asked for', async () => {
    const reference = await bundleOf({ entries: odd });
    for (const name of ['.bashrc', 'kustomization.yaml', '../up.qcow2'])
      await expect(copy(reference, {}, [name])).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
  });

  it('are the described ones of a bundle that describes itself', async () => {
    const bundle = ownBundle({ qcowBytes: 1000 });
    const [base, images, profiles] = bundle.layers;
    const more = {
      ...images,
      entries: [...(images?.entries ?? []), { name: 'qcows/more.qcow2', content: 'q' }],
    };
    await writeLayout(at('own'), { ...bundle, layers: [base, more, profiles] as TestLayer[] });
    await copy(`oci:${at('own')}`);
    expect(files()).toEqual(['control-plane.qcow2']);
  });

  it('are those of images also when a bundle describes others, unless they are asked for', async () => {
    const bundle = ownBundle({ qcowBytes: 1000 });
    const renamed = (text: string) => text.replaceAll('control-plane.qcow2', 'kustomization.yaml');
    const layers = bundle.layers.map((layer) => ({
      ...layer,
      entries: layer.entries?.map(({ name, content = '', ...entry }) => ({
        ...{ name: renamed(name), ...entry },
        content: name.endsWith('artifacts.json') ? renamed(content.toString()) : content,
      })) as TestEntry[],
    }));
    await writeLayout(at('own'), { ...bundle, layers });
    await expect(copy(`oci:${at('own')}`)).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
    await copy(`oci:${at('own')}`, {}, ['kustomization.yaml']);
    expect(files()).toEqual(['kustomization.yaml']);
  });

  it('do not reach a terminal as they are', async () => {
    const reference = await bundleOf({
      entries: [
        { name: 'profiles/profile_a.json', content: '\x1b]0;pwned\x07 \u202e \x9b2J' },
        { name: 'qcows/a.qcow2', content: 'q' },
      ],
    });
    const error = await readBundle(reference).catch((thrown) => thrown);
    const shown = findingsOf(error).map(formatFinding).join('\n');
    expect(shown.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\u202e]/u);
    expect(shown).toContain('\\x1b');
  });
});

describe('what is in the directory', () => {
  const layer = { entries: [{ name: 'qcows/a.qcow2', content: 'image' }] };
  const described = {
    entries: [...layer.entries, { name: 'qcows/a.qcow2.md5sum', content: `${'0'.repeat(32)}\n` }],
  };

  it.each([
    ['another file', () => writeFileSync(at('target/a.qcow2'), 'mine!')],
    ['a larger file', () => writeFileSync(at('target/a.qcow2'), 'mine mine')],
    ['a link', () => symlinkSync(at('victim'), at('target/a.qcow2'))],
    ['a link to nothing', () => symlinkSync(at('nothing'), at('target/a.qcow2'))],
  ])('stays: %s', async (what, make) => {
    mkdirSync(at('target'));
    writeFileSync(at('victim'), 'image');
    make();
    const reference = await bundleOf(layer);
    await expect(copy(reference)).rejects.toMatchObject({
      code: 'FILE_EXISTS',
      message: expect.stringContaining('a.qcow2'),
      hint: expect.stringContaining('--force'),
    });
    expect(lstatSync(at('target/a.qcow2')).isSymbolicLink()).toBe(what.startsWith('a link'));
    // Nothing was left in it either, and told otherwise, it is replaced, not followed.
    await copy(reference, { force: true });
    expect(lstatSync(at('target/a.qcow2')).isFile()).toBe(true);
    expect(readFileSync(at('target/a.qcow2'), 'utf8')).toBe('image');
    expect(readFileSync(at('victim'), 'utf8')).toBe('image');
    expect(existsSync(at('nothing'))).toBe(false);
    expect(files()).toEqual(['a.qcow2']);
  });

  it('stays also when the checksum of the bundle is known, and nothing is fetched then', async () => {
    mkdirSync(at('target'));
    writeFileSync(at('target/a.qcow2'), 'mine!');
    await expect(copy(await bundleOf(described))).rejects.toMatchObject({ code: 'FILE_EXISTS' });
    expect(readFileSync(at('target/a.qcow2'), 'utf8')).toBe('mine!');
  });

  it('is taken for a copy when it is one', async () => {
    const reference = await bundleOf(layer);
    await copy(reference);
    const { ino } = statSync(at('target/a.qcow2'));
    expect((await copy(reference)).files).toMatchObject([{ existed: true }]);
    expect(statSync(at('target/a.qcow2')).ino).toBe(ino);
  });

  it('may be a directory that stays', async () => {
    mkdirSync(at('target/a.qcow2'), { recursive: true });
    for (const force of [true, false])
      await expect(copy(await bundleOf(layer), { force })).rejects.toMatchObject({ code: 'FILE_EXISTS' });
  });

  it('is only half of it when names are hard links', async () => {
    const entries: TestEntry[] = [
      ...layer.entries,
      { name: 'qcows/b.qcow2', type: 'link', linkname: 'qcows/a.qcow2' },
    ];
    await copy(await bundleOf({ entries }));
    expect([files(), readFileSync(at('target/b.qcow2'), 'utf8')]).toEqual([['a.qcow2', 'b.qcow2'], 'image']);
  });
});

describe('where it works', () => {
  const WORK = 'target/.image-builder-download';
  const layer = { entries: [{ name: 'qcows/a.qcow2', content: 'image' }] };

  it.each([
    ['a link to a directory of ours', () => symlinkSync(at('victim'), at(WORK))],
    ['a file', () => writeFileSync(at(WORK), '')],
    [
      'a directory that others may write to',
      () => {
        mkdirSync(at(WORK));
        chmodSync(at(WORK), 0o777);
      },
    ],
  ])('is nothing that somebody has put there: %s', async (_, make) => {
    mkdirSync(at('target'));
    mkdirSync(at('victim'));
    make();
    await expect(copy(await bundleOf(layer))).rejects.toMatchObject({ code: 'UNSAFE_DIRECTORY' });
    expect([readdirSync(at('victim')), files()]).toEqual([[], ['.image-builder-download']]);
  });

  it('is cleared of what a killed process has left, and of links in it', async () => {
    mkdirSync(at(WORK), { recursive: true, mode: 0o700 });
    writeFileSync(at('victim'), 'mine');
    writeFileSync(at(`${WORK}/old.qcow2`), 'left');
    linkSync(at('victim'), at(`${WORK}/hard`));
    await copy(await bundleOf(layer));
    expect([files(), readFileSync(at('victim'), 'utf8')]).toEqual([['a.qcow2'], 'mine']);
  });

  it('is one for all that copy at once', async () => {
    const reference = await bundleOf(layer);
    const copies = await Promise.all([copy(reference), copy(reference), copy(reference)]);
    expect(copies.map(({ files: [file] }) => file?.size)).toEqual([5, 5, 5]);
    expect(files()).toEqual(['a.qcow2']);
  });
});

describe('sparse files', () => {
  it('are written sparse', async () => {
    const tar = await sparse('qcows/a.qcow2', 30_000_000);
    const { files: copied } = await copy(await bundleOf({ tar, compression: 'none' }));
    const content = Buffer.alloc(30_000_000);
    content.write('q');
    expect(copied).toMatchObject([
      { size: content.length, sha256: createHash('sha256').update(content).digest('hex') },
    ]);
    expect(statSync(at('target/a.qcow2')).blocks * 512).toBeLessThan(1_000_000);
  });

  it.each([2 * GIB, 2 ** 40, Number.MAX_SAFE_INTEGER])(
    'that stand for %d bytes are refused',
    async (size) => {
      const tar = await sparse('qcows/a.qcow2', size);
      await expect(copy(await bundleOf({ tar, compression: 'none' }))).rejects.toMatchObject({
        code: 'TOO_LARGE',
      });
      expect(files()).toEqual([]);
    },
  );

  it('that come again and again are refused', async () => {
    const sizes = [100_000_000, 1_000_000_000];
    const tar = Buffer.concat(await Promise.all(sizes.map((size) => sparse('qcows/a.qcow2', size))));
    await expect(copy(await bundleOf({ tar, compression: 'none' }))).rejects.toMatchObject({
      code: 'TOO_LARGE',
    });
  });

  it('end at once when the caller does', async () => {
    const tar = await sparse('qcows/a.qcow2', 1_000_000_000);
    const abort = new AbortController();
    const reference = await bundleOf({ tar, compression: 'none' });
    setTimeout(() => abort.abort(), 200);
    const started = Date.now();
    await expect(copy(reference, { signal: abort.signal })).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(Date.now() - started).toBeLessThan(2000);
    expect(files()).not.toContain('a.qcow2');
  });
});

it('refuses an image of another size than the bundle says', async () => {
  const bundle = ownBundle({ qcowBytes: 1000 });
  const [base, , profiles] = bundle.layers;
  const other = { entries: [{ name: 'qcows/control-plane.qcow2', content: 'short' }] };
  await writeLayout(at('own'), { ...bundle, layers: [base, other, profiles] as TestLayer[] });
  await expect(copy(`oci:${at('own')}`)).rejects.toMatchObject({
    code: 'CHECKSUM_MISMATCH',
    message: expect.stringContaining('has 5 bytes, the bundle says 1000'),
  });
});

it('says what is wrong with the directory', async () => {
  await writeLayout(at('old'), predecessorBundle({ qcowBytes: 1000 }));
  writeFileSync(at('target'), '');
  await expect(copy(`oci:${at('old')}`)).rejects.toMatchObject({
    code: 'WRITE_FAILED',
    message: expect.stringContaining('it is not a directory'),
  });
});

it.each([
  ['0123456789abcdef0123456789abcdef\n', true],
  ['0123456789ABCDEF0123456789ABCDEF  a.qcow2\r\n', true],
  ['\ufeff0123456789abcdef0123456789abcdef *a.qcow2\n', true],
  ['\\0123456789abcdef0123456789abcdef  a\\nb\n', true],
  ['MD5 (a (b).qcow2) = 0123456789abcdef0123456789abcdef\n', true],
  ['SHA256 (a) = 0123456789abcdef0123456789abcdef\n', false],
  ['<html>0123456789abcdef0123456789abcdef</html>\n', false],
])('takes the forms of md5sum: %j', async (text, isOne) => {
  const { parseMd5sum } = await import('../../../../image-builder/bundle/artifacts.ts');
  expect(parseMd5sum(text)).toBe(isOne ? '0123456789abcdef0123456789abcdef' : undefined);
});

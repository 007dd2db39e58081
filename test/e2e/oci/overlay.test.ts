// The overlay reader against what umoci makes of the same layers: random layers with everything that layers may hold.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readImageFiles } from '../../../image-builder/bundle/read/image-files.ts';
import { Image } from '../../../image-builder/oci/image.ts';
import { openSource } from '../../../image-builder/oci/open.ts';
import { type TestEntry, type TestLayer, writeLayout } from '../../support/images.ts';

const CASES = 25;
let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'overlay-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** A small generator with a seed (mulberry32), so that a failing case can be run again. */
function randomness(seed: number) {
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (count: number) => Math.floor(next() * count);
  return {
    below,
    pick: <T>(items: readonly T[]) => items[below(items.length)] as T,
    chance: (share: number) => next() < share,
  };
}

const NAMES = ['a', 'b', 'c', 'profiles'];
const UNIVERSE = NAMES.flatMap((x) => [
  x,
  ...NAMES.flatMap((y) => [`${x}/${y}`, ...NAMES.map((z) => `${x}/${y}/${z}`)]),
]);

function randomLayers(seed: number): TestLayer[] {
  const { below, pick, chance } = randomness(seed);
  const files: string[] = [];
  return Array.from({ length: 1 + below(4) }, (_, layer) => {
    const entries: TestEntry[] = [];
    for (let index = 0; index < 3 + below(10); index++) {
      const path = pick(UNIVERSE);
      const kind = below(12);
      const parent = path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '';
      const name = path.slice(path.lastIndexOf('/') + 1);
      if (chance(0.5) && parent) entries.push({ name: `${parent}/`, type: 'directory' });
      if (kind < 5) {
        entries.push({ name: chance(0.2) ? `./${path}` : path, content: `${seed}-${layer}-${index}` });
        files.push(path);
      } else if (kind < 7) entries.push({ name: `${path}/`, type: 'directory' });
      else if (kind < 9) {
        const target = chance(0.5)
          ? `/${pick(UNIVERSE)}`
          : pick(['..', '.', ...NAMES, '../a', '../../b/c', '../../../../a']);
        entries.push({ name: path, type: 'symlink', linkname: target });
      } else if (kind === 9 && files.length > 0)
        entries.push({ name: path, type: 'link', linkname: pick(files) });
      else if (kind === 10) entries.push({ name: parent ? `${parent}/.wh.${name}` : `.wh.${name}` });
      else if (layer > 0 && parent) entries.push({ name: `${parent}/.wh..wh..opq` });
    }
    return { entries, compression: pick(['none', 'gzip'] as const) };
  });
}

/** Regular files below a directory, links not followed. */
function filesOf(root: string, path = ''): Map<string, string> {
  const found = new Map<string, string>();
  for (const entry of readdirSync(join(root, path), { withFileTypes: true })) {
    const child = path ? `${path}/${entry.name}` : entry.name;
    if (entry.isDirectory()) for (const [name, content] of filesOf(root, child)) found.set(name, content);
    else if (entry.isFile()) found.set(child, readFileSync(join(root, child), 'utf8'));
  }
  return found;
}

function unpack(layout: string, target: string): Map<string, string> | undefined {
  try {
    execFileSync('umoci', ['unpack', '--rootless', '--image', `${layout}:latest`, target], {
      stdio: 'ignore',
    });
  } catch {
    // Layers that umoci refuses (a hard link to nothing, a circle of links) prove nothing.
    return undefined;
  }
  return filesOf(join(target, 'rootfs'));
}

it('reads what umoci unpacks', async () => {
  let compared = 0;
  for (let seed = 1; seed <= CASES; seed++) {
    const layout = join(directory, `layout-${seed}`);
    await writeLayout(layout, { layers: randomLayers(seed), withoutHistory: true });
    const expected = unpack(layout, join(directory, `bundle-${seed}`));
    if (!expected) continue;
    compared++;
    const source = await openSource({ transport: 'oci', path: layout });
    const image = await Image.open(source);
    for (const verification of ['full', 'partial'] as const) {
      const all = await readImageFiles(
        image,
        { files: [], directories: [{ path: '', recursive: true, list: true, content: () => true }] },
        verification,
      );
      const found = [...all.files.values()].filter(({ path, resolvedPath }) => path === resolvedPath);
      const contents = Object.fromEntries(found.map(({ path, content }) => [path, content?.toString()]));
      expect([seed, contents]).toEqual([seed, Object.fromEntries(expected)]);
    }
    // Single files, with as few layers as the reader dares.
    for (const path of UNIVERSE) {
      const one = await readImageFiles(image, { files: [path], directories: [] }, 'partial').catch(
        () => undefined,
      );
      const file = one?.files.get(path);
      if (file?.resolvedPath === path || expected.has(path)) {
        expect([seed, path, file?.content?.toString()]).toEqual([seed, path, expected.get(path)]);
      }
    }
    await source.close();
  }
  expect(compared).toBeGreaterThan(CASES / 3);
}, 120_000);

it('reads sparse files, long names and every tar format as tar does', async () => {
  const tree = join(directory, 'tree');
  const long = `profiles/${'long-directory-name/'.repeat(8)}${'x'.repeat(120)}`;
  execFileSync('bash', [
    '-c',
    `mkdir -p "${tree}/${long}" && cd "${tree}" && echo deep > "${long}/file" && truncate -s 3M profiles/sparse && printf data | dd of=profiles/sparse bs=1 seek=1500000 conv=notrunc status=none && printf end | dd of=profiles/sparse bs=1 seek=2900000 conv=notrunc status=none && echo one > profiles/one && ln profiles/one profiles/two`,
  ]);
  const formats = [
    ['--format=gnu', '--sparse'],
    ['--format=pax', '--sparse', '--sparse-version=0.0'],
    ['--format=pax', '--sparse', '--sparse-version=0.1'],
    ['--format=pax', '--sparse', '--sparse-version=1.0'],
    ['--format=pax'],
    ['--format=gnu'],
  ];
  for (const [index, options] of formats.entries()) {
    const tar = execFileSync('tar', ['-C', tree, ...options, '-cf', '-', 'profiles'], {
      maxBuffer: 64 * 1024 * 1024,
    });
    for (const [name, content] of [
      ['whole', tar],
      ['without trailer', withoutTrailer(tar)],
    ] as const) {
      const layout = join(directory, `format-${index}-${name.length}`);
      await writeLayout(layout, { layers: [{ tar: content, compression: 'gzip' }] });
      const source = await openSource({ transport: 'oci', path: layout });
      const files = ['profiles/sparse', `${long}/file`, 'profiles/two'];
      const read = await readImageFiles(await Image.open(source), { files, directories: [] }, 'full');
      const [sparse, deep, two] = files.map((path) => read.files.get(path)?.content);
      expect([options, name, sparse?.equals(readFileSync(join(tree, 'profiles/sparse')))]).toEqual([
        options,
        name,
        true,
      ]);
      expect(deep?.toString()).toBe('deep\n');
      expect(two?.toString()).toBe('one\n');
      await source.close();
    }
  }
}, 60_000);

/** Cuts off the zero blocks at the end. */
function withoutTrailer(tar: Buffer): Buffer {
  let end = tar.length;
  while (end >= 512 && tar.subarray(end - 512, end).every((byte) => byte === 0)) end -= 512;
  return tar.subarray(0, end);
}

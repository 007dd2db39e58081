// What two bundles differ in, and how it is told.
import { compareBundles, comparePackages } from '../../../image-builder/compare/compare.ts';
import type { Subject } from '../../../image-builder/compare/comparison.ts';
import { renderMarkdown } from '../../../image-builder/compare/markdown.ts';
import { renderText } from '../../../image-builder/compare/text.ts';

const MIB = 2 ** 20;
const partitions = [
  { number: 1, start: 1284 * MIB, size: 2048 * MIB, filesystem: 'ext4', mount: '/' },
  { number: 2, start: MIB, size: 4 * MIB },
];
const node = { file: 'node.qcow2', format: 'qcow2' as const, size: 512 * MIB, virtualSize: 4096 * MIB };

function subject(changes: Partial<Subject> = {}): Subject {
  return {
    name: 'a',
    image: 'registry.example.org/bundle:v1@sha256:aa',
    digest: 'sha256:aa',
    cost: { requests: 2, bytes: 1000 },
    profiles: {
      profile_multistrap: { packages: ['vim'], sysctl: [{ name: 'kernel.panic', value: '3' }] },
      profile_qcow_node: { qcow_capacity: '4G', sysctl: [{ name: 'kernel.panic', value: '3' }] },
    },
    packages: { vim: { version: '9.1-1', architecture: 'amd64' } },
    artifacts: { qcows: { node: { ...node, sha256: 'x', partitions } } },
    ...changes,
  };
}

const other = (changes: Partial<Subject> = {}) =>
  subject({ name: 'b', image: 'registry.example.org/bundle:v2@sha256:bb', digest: 'sha256:bb', ...changes });

test('the same bundle does not differ from itself', () => {
  const comparison = compareBundles(subject(), subject());
  expect(comparison).toMatchObject({ identical: true, variables: [], packages: [], images: [], unknown: [] });
  expect(renderText(comparison)).toContain('The two are identical.');
});

test('a variable that several profiles have is told once', () => {
  const sysctl = [{ name: 'kernel.panic', value: '10' }];
  const { variables } = compareBundles(
    subject(),
    other({
      profiles: {
        profile_multistrap: { packages: ['vim'], sysctl },
        profile_qcow_node: { qcow_capacity: '5G', sysctl },
      },
    }),
  );
  expect(variables).toEqual([
    {
      path: 'sysctl[name=kernel.panic].value',
      before: '3',
      after: '10',
      profiles: ['profile_multistrap', 'profile_qcow_node'],
    },
    { path: 'qcow_capacity', before: '4G', after: '5G', profiles: ['profile_qcow_node'] },
  ]);
});

test('what the list of packages tells is not told twice, and what Ansible leaked is not told at all', () => {
  const profiles = (version: string) => ({
    profile_multistrap: {
      installed_versions: { vim: version },
      kernel_version: version,
      ansible_date_time: version,
      groups: { all: [version] },
    },
  });
  const [a, b] = [subject({ profiles: profiles('1') }), other({ profiles: profiles('2') })];
  expect(compareBundles(a, b).variables).toEqual([]);
  const { packages: _, ...vague } = b;
  expect(compareBundles(a, vague).variables.map(({ path }) => path)).toEqual([
    'installed_versions.vim',
    'kernel_version',
  ]);
});

test('a profile more or less', () => {
  const { variables } = compareBundles(
    subject({ profiles: { old: {} } }),
    other({ profiles: { new: { a: 1 } } }),
  );
  expect(variables).toEqual([
    { path: 'new', after: 'added', profiles: ['new'] },
    { path: 'old', before: 'removed', profiles: ['old'] },
  ]);
});

test('packages', () => {
  const at = (version: string, architecture = 'amd64') => ({ version, architecture });
  const before = { gone: at('1'), up: at('1.9'), down: at('1:1'), same: at('2'), moved: at('1', 'all') };
  const after = { up: at('1.10'), down: at('2'), same: at('2'), moved: at('1'), fresh: at('3') };
  expect(comparePackages(before, after)).toEqual([
    { name: 'down', change: 'downgraded', before: '1:1', after: '2' },
    { name: 'fresh', change: 'added', after: '3' },
    { name: 'gone', change: 'removed', before: '1' },
    { name: 'moved', change: 'rearranged', before: '1:all', after: '1:amd64' },
    { name: 'up', change: 'upgraded', before: '1.9', after: '1.10' },
  ]);
});

test('sizes and partitions of an image, images more and less', () => {
  const changed = {
    ...node,
    size: 513 * MIB,
    virtualSize: 5120 * MIB,
    sha256: 'y',
    partitions: [
      { ...partitions[0], size: 3072 * MIB },
      { ...partitions[1], filesystem: 'xfs' },
      { number: 3, start: 1, size: 2 },
    ],
  };
  const { images } = compareBundles(
    subject({ artifacts: { qcows: { node: { ...node, sha256: 'x', partitions }, old: node } } }),
    other({ artifacts: { qcows: { node: changed as never, fresh: node } } }),
  );
  expect(images).toEqual([
    {
      name: 'fresh',
      change: 'added',
      size: { after: 512 * MIB },
      virtualSize: { after: 4096 * MIB },
    },
    {
      name: 'node',
      change: 'changed',
      size: { before: 512 * MIB, after: 513 * MIB },
      virtualSize: { before: 4096 * MIB, after: 5120 * MIB },
      partitions: [
        { path: 'partition 1.size', before: 2048 * MIB, after: 3072 * MIB },
        { path: 'partition 2.filesystem', after: 'xfs' },
        { path: 'partition 3', after: { number: 3, start: 1, size: 2 } },
      ],
    },
    { name: 'old', change: 'removed', size: { before: 512 * MIB }, virtualSize: { before: 4096 * MIB } },
  ]);
});

test('a bundle of the predecessor is compared as far as it tells', () => {
  const old = { qcows: { node: { file: 'node.qcow2', format: 'qcow2' as const, md5: 'm' } } };
  const { packages: _, ...vague } = subject({ artifacts: old });
  const comparison = compareBundles(
    vague,
    other({ artifacts: { qcows: { node: { ...node, md5: 'n', partitions } } } }),
  );
  expect(comparison.unknown).toEqual([
    'a does not list its packages',
    'a does not describe the partitions of node.qcow2',
  ]);
  expect(comparison.packages).toEqual([]);
  expect(comparison.images).toEqual([
    { name: 'node', change: 'changed', size: { after: 512 * MIB }, virtualSize: { after: 4096 * MIB } },
  ]);
  expect(renderText(comparison)).toContain('Not compared: a does not list its packages');
});

test('text', () => {
  const comparison = compareBundles(
    subject(),
    other({ packages: { vim: { version: '9.1-2', architecture: 'amd64' } } }),
  );
  expect(renderText(comparison)).toBe(`a: registry.example.org/bundle:v1@sha256:aa
b: registry.example.org/bundle:v2@sha256:bb

Packages: 1 upgraded
  ↑ vim 9.1-1 → 9.1-2
`);
});

describe('Markdown', () => {
  const hostile =
    'x | </details> <script>alert(1)</script> `a` **b** [c](http://d) @everyone #1 \n# e \u001b[31m \u202e';

  test('nothing of a bundle becomes markup', () => {
    const comparison = compareBundles(
      subject(),
      other({
        name: hostile,
        image: hostile,
        profiles: { [hostile]: { [hostile]: hostile } },
        packages: { [hostile]: { version: hostile, architecture: 'amd64' } },
        artifacts: { qcows: { [hostile]: { file: hostile, format: 'qcow2' } } },
      }),
    );
    const text = renderMarkdown(comparison);
    const tags = new Set([...text.matchAll(/<[^>]*>/g)].map(([tag]) => tag));
    expect([...tags].sort()).toEqual(['</code>', '<br>', '<code>'].filter((tag) => tags.has(tag)));
    expect(text).not.toMatch(/[`@]|\[c\]|\*\*b/);
    expect(text).not.toContain('\u001b');
    // Every row of a table has the cells of its head.
    for (const table of text.split('\n\n').filter((part) => part.startsWith('|'))) {
      const widths = table.split('\n').map((row) => row.split('|').length);
      expect(new Set(widths).size).toBe(1);
    }
    // Marks of direction change what a line seems to say, as control characters do.
    for (const sign of ['\u001b', '\u202e']) expect(renderText(comparison)).not.toContain(sign);
  });

  test('long lists are folded and cut', () => {
    const list = (count: number) =>
      Object.fromEntries(
        Array.from({ length: count }, (_, n) => [`p${n}`, { version: '1', architecture: 'all' }]),
      );
    const short = renderMarkdown(compareBundles(subject({ packages: {} }), other({ packages: list(10) })));
    expect(short).toContain('**Packages: 10 added**');
    expect(short).not.toContain('<details>');
    const long = renderMarkdown(compareBundles(subject({ packages: {} }), other({ packages: list(1500) })));
    expect(long).toContain('<details><summary><b>Packages: 1500 added</b></summary>\n\n| package');
    expect(long).toContain('… and 1400 more.\n\n</details>');
    expect(long.length).toBeLessThan(65_536);
  });
});

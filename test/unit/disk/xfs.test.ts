import { checkEntries, renderPrototype, type XfsEntry } from '../../../image-builder/disk/xfs.ts';

const entry = (path: string, mode: number, more: Partial<XfsEntry> = {}): XfsEntry => ({
  ...{ path, mode, uid: 0, gid: 0, mtime: 0, links: 1, attributes: [] },
  ...more,
});
const root = entry('', 0o040755);

test('a prototype says how directories nest, and who owns what', () => {
  const entries = [
    root,
    entry('a', 0o043771, { uid: 12, gid: 34 }),
    entry('a/b', 0o040700),
    entry('a/b/file', 0o100640),
    entry('a.txt', 0o104755),
    entry('link', 0o120777, { target: '../a' }),
  ];
  expect(renderPrototype(entries)).toBe(
    [
      ...['image', '0 0', 'd--755 0 0', 'a d-g771 12 34', 'b d--700 0 0', 'file ---640 0 0 source/a/b/file'],
      ...['$', '$', 'a.txt -u-755 0 0 source/a.txt', 'link l--777 0 0 ../a', '$', ''],
    ].join('\n'),
  );
});

test.each([
  ['a name with a space', entry('a b', 0o100644), '/srv/a b has white space or quotes'],
  ['a name with a line feed', entry('a\n$', 0o100644), 'has white space or quotes'],
  ['a name that ends a directory', entry('$', 0o100644), '/srv/$ has white space'],
  ['a name that starts a comment', entry(':x', 0o100644), '/srv/:x has white space'],
  ['a name that is not ASCII', entry('ä', 0o100644), '/srv/ä has white space'],
  ['a link to a name with a space', entry('l', 0o120777, { target: 'a b' }), '/srv/l has white space'],
  ['a hard link', entry('f', 0o100644, { links: 2 }), '/srv/f has hard links'],
  [
    'a capability',
    entry('ping', 0o100755, { attributes: ['security.capability'] }),
    '/srv/ping has the extended attribute security.capability',
  ],
  ['a socket', entry('s', 0o140755), '/srv/s is neither a file, a directory nor a link'],
])('%s is refused', (_what, bad, message) => {
  expect(() => checkEntries([root, bad], '/srv')).toThrow(message);
});

test('many problems are counted, not listed', () => {
  const entries = Array.from({ length: 9 }, (_, index) => entry(`${index} x`, 0o100644));
  expect(() => checkEntries(entries, '/srv')).toThrow(/4 x has white space[^;]*, and 4 more$/);
});

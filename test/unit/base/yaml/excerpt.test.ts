import { LineCounter, parseDocument } from 'yaml';
import { excerpt } from '../../../../image-builder/base/yaml/excerpt.ts';

function show(source: string, field: string, message: string): string | undefined {
  const lineCounter = new LineCounter();
  return excerpt(
    { source, document: parseDocument(source, { schema: 'failsafe', lineCounter }), lineCounter },
    field,
    message,
  );
}
const SOURCE = `spec:
  build:
    size: "1x" # comment
    list: [{a: 1}, {a: 600}]
    password: hunter2
    text: |
      hunter2
    - bad
`.replace('    - bad\n', '');

test.each([
  ['spec.build.size', 'is "1x", expected', '    3 |     size: "1x"\n      |           ^^^^'],
  [
    'spec.build.list[1].a',
    'is the number 600, expected',
    '    4 |     ... a: 600 ...\n      |            ^^^',
  ],
  ['spec.build.password', 'unknown field', '    5 |     password: ...\n      |     ^^^^^^^^'],
  ['spec.build.text', 'is a string, expected', '    6 |     text: ...\n      |     ^^^^'],
  ['spec.build.missing', 'is missing', '    2 |   build: ...\n      |   ^^^^^'],
  ['spec.build.list[7].a', 'is missing', '    4 |     list: ...\n      |     ^^^^'],
])('%s: %s', (field, message, expected) => expect(show(SOURCE, field, message)).toBe(expected));

test('nothing of the path is there', () => {
  expect(show(SOURCE, 'metadata.name', 'is missing')).toBeUndefined();
  expect(show('just text\n', 'spec', 'is missing')).toBeUndefined();
});

test('tabs keep their width, so that the carets are where they belong', () => {
  expect(show('a:\n- b:\t5\n', 'a[0].b', 'is 5,')).toBe('    2 | - b:\t5\n      |     \t^');
});

test('a value that only looks like a part of the message is not shown', () => {
  expect(show('a: {pass: unk}\n', 'a.pass', 'unknown field')).not.toContain('unk}');
});

test('a value that is too long for any pattern', () => {
  const text = '{{ x }} '.repeat(1 << 18);
  expect(show(`a: {b: "${text}"}\n`, 'a.b', 'gives more than 16 MiB')).toBe(
    '    1 | ... b: ...\n      |     ^',
  );
});

test('other fields of the same line are not shown', () => {
  const shown = show('u: [{hash: hunter2, uid: x, key: hunter3}]\n', 'u[0].uid', 'is "x", expected');
  expect(shown).toBe('    1 | ... uid: x ...\n      |          ^');
});

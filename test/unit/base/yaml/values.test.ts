import { parse, parseDocument } from 'yaml';
import { emitDocuments } from '../../../../image-builder/base/yaml/emit.ts';
import { ForeignValue } from '../../../../image-builder/base/yaml/tags.ts';
import { ExactNumber, readValue } from '../../../../image-builder/base/yaml/values.ts';

const write = (value: unknown) => emitDocuments([value]);

const AMBIGUOUS = [
  ...['', '~', 'null', 'Null', 'y', 'N', 'yes', 'No', 'on', 'OFF', 'true', 'False', '=', '<<'],
  ...[
    '0755',
    '0o17',
    '0x1F',
    '1e3',
    '1.20',
    '1_000',
    '12:30:45',
    '2024-01-01',
    '+5',
    '-5',
    '.5',
    '.inf',
    '-.INF',
    '.nan',
  ],
  ...['1.34.2-1.1', '8021q', '...', '---'],
];
const AWKWARD = [
  ...[
    '- a',
    ': b',
    'a: b',
    'a #b',
    '#c',
    '&a',
    '*a',
    '!x',
    '%x',
    '@x',
    '`x',
    '{a',
    '[a',
    '"q"',
    "it's",
    '|',
    '>',
    '?',
  ],
  ...[
    ' leading',
    'trailing ',
    '\ttab',
    'a\tb',
    'line\nline',
    'line\n',
    '\n',
    '\nfirst',
    '  in\n out',
    'a\n\n\nb\n\n',
    'x \ny',
  ],
  ...[
    '\r\n',
    'a\rb',
    '\u0000',
    '\u0007',
    '\u001b[0m',
    '\u0085',
    '\u2028',
    '\ufeff',
    'ä',
    '日本',
    '😀',
    '#cloud-config\nusers: []\n',
  ],
];

describe('emitDocuments', () => {
  test.each([...AMBIGUOUS, ...AWKWARD])(
    'keeps the string %j a string for readers of YAML 1.1 and 1.2',
    (text) => {
      const yaml = write({ key: text, [text]: [text] });
      for (const version of ['1.1', '1.2'] as const) {
        expect(parse(yaml, { version, merge: true })).toEqual({ key: text, [text]: [text] });
      }
    },
  );

  test.each(AMBIGUOUS)('quotes %j', (text) => {
    expect(write({ key: text })).toBe(`key: ${JSON.stringify(text)}\n`);
  });

  test('writes numbers, booleans and null plainly, and numbers as they were written', () => {
    const value = {
      a: 1,
      b: 1.5,
      c: true,
      d: null,
      e: new ExactNumber('1.20'),
      f: new ExactNumber('9223372036854775807'),
    };
    expect(write(value)).toBe('a: 1\nb: 1.5\nc: true\nd: null\ne: 1.20\nf: 9223372036854775807\n');
  });

  test('leaves out undefined, writes empty collections, never folds', () => {
    const long = 'word '.repeat(60).trim();
    expect(write({ a: undefined, b: [], c: {}, d: [long] })).toBe(`b: []\nc: {}\nd:\n- ${long}\n`);
  });
});

test('several documents', () => {
  expect(emitDocuments([{ a: 'on' }, { b: 1 }])).toBe('a: "on"\n---\nb: 1\n');
});

describe('readValue', () => {
  const read = (yaml: string) => {
    const document = parseDocument(yaml, { schema: 'failsafe' });
    return readValue(document.contents, document);
  };

  test('interprets by the core schema', () => {
    const yaml = 'a: 1\nb: 1.5\nc: yes\nd: true\ne: ~\nf:\ng: "1"\nh: 16\ni: [1, a]\nj: |\n  1\nk: 1.20.0\n';
    const expected = {
      a: 1,
      b: 1.5,
      c: 'yes',
      d: true,
      e: null,
      f: null,
      g: '1',
      h: 16,
      i: [1, 'a'],
      j: '1\n',
      k: '1.20.0',
    };
    expect(read(yaml)).toEqual(expected);
    expect(read(yaml)).toEqual(parse(yaml));
  });

  test('follows aliases, but not into a bomb', () => {
    expect(read('a: &x {b: 1}\nc: *x\n')).toEqual({ a: { b: 1 }, c: { b: 1 } });
    const levels = Array.from(
      { length: 9 },
      (_, n) => `l${n + 1}: &l${n + 1} [${Array(9).fill(`*l${n}`).join(', ')}]`,
    );
    expect(() => read(`l0: &l0 [x]\n${levels.join('\n')}\n`)).toThrow('more than 200000 nodes');
  });

  test('merge keys are expanded, as kustomize does; what stands beside them counts', () => {
    expect(
      read('a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc: {<<: *a, y: 5}\nd:\n  y: 6\n  <<: [*b, *a]\n'),
    ).toEqual({
      a: { x: 1, y: 2 },
      b: { y: 3, z: 4 },
      c: { x: 1, y: 5 },
      d: { y: 6, z: 4, x: 1 },
    });
    expect(read('"<<": {x: 1}\n')).toEqual({ '<<': { x: 1 } });
    for (const yaml of ['<<: text\n', '<<: [{x: 1}, 2]\n', '<<:\n'])
      expect(() => read(yaml)).toThrow('the merge key <<');
  });

  test.each([
    '9223372036854775807',
    '18446744073692774399',
    '1.20',
    '0x10',
    '0755',
    '1e3',
    '+5',
    '-0',
    '.inf',
  ])('the number %s keeps its text', (text) => {
    expect(read(`a: ${text}`)).toEqual({ a: new ExactNumber(text) });
    expect(read(`a: "${text}"`)).toEqual({ a: text });
  });

  test('tags of YAML itself', () => {
    expect(read('a: !!str 5\nb: !!int "5"\nc: ! 5\n')).toEqual({ a: '5', b: 5, c: '5' });
  });

  test('what has the tag of another program is not taken for its text', () => {
    const foreign = ['!vault |\n  x', '!Ref [b]', '!!binary aGk=', '!!timestamp 2020-01-01', '!!set {x}'];
    for (const text of foreign) expect(read(`a: ${text}\n`)).toEqual({ a: expect.any(ForeignValue) });
    expect(read('a: &v !vault x\nb: *v\n')).toMatchObject({ b: { tag: '!vault' } });
  });

  test('a key named __proto__ is a key', () => {
    const value = read('__proto__: {polluted: yes}\n') as Record<string, unknown>;
    expect(Object.keys(value)).toEqual(['__proto__']);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });
});

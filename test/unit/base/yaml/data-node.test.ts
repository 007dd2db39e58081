// Data nodes give the text that the library gives, whatever the data.
import { Document, parse, type YAMLMap, YAMLSeq } from 'yaml';
import { withData } from '../../../../image-builder/base/yaml/data-node.ts';
import { PARSE_OPTIONS, STRINGIFY_OPTIONS } from '../../../../image-builder/base/yaml/document.ts';
import { ExactNumber, toNode } from '../../../../image-builder/base/yaml/values.ts';

/** An object with the value below a key, as a catalogue is written, and by the library alone. */
const dataNode = (value: unknown) => withData(toNode({ kind: 'K' }) as YAMLMap, { value });
const libraryNode = (value: unknown) => toNode({ kind: 'K', value });

/** The object as a list of items has it: deeper than alone. */
function text(value: unknown, node: (value: unknown) => unknown): string {
  const document = new Document({ top: { data: null } }, PARSE_OPTIONS);
  document.setIn(['top', 'data'], node(value));
  return document.toString(STRINGIFY_OPTIONS);
}

const TRICKY = [
  ...['', ' ', 'a', 'a b', ' a', 'a ', 'a  b', 'a: b', 'a:b', 'a:', ':a', 'a #b', 'a#b', '#a', '-', '--x'],
  ...['- a', '-a', 'a-', '?', '? a', '?a', 'true', 'No', 'null', '~', '~a', '1', '0755', '1.20', '1e3', '.5'],
  ...[
    '+1',
    '=',
    '<<',
    '<a',
    '[a]',
    'a[0]',
    '{a}',
    'a{b}',
    '"a"',
    "it's",
    '%a',
    '@a',
    '`a`',
    '&a',
    '*a',
    '!a',
  ],
  ...[
    '|',
    '>',
    'a|b',
    'a\nb',
    'a\n\n  b c\n',
    'a: b\n# c',
    'a\n\n',
    'a \nb',
    '1\n2',
    ' a\nb',
    '*\nb\n',
    '---\na',
    'a\n',
    '\ta',
    'a\tb',
    'é',
    '\u2028',
    '---',
    '--- a',
    '...',
    '2026-01-01',
    '::',
  ],
  ...[
    'http://x.example/y?z=1&w=2',
    'console=ttyS0,115200n8',
    '/etc/a b',
    '$6$x',
    'a, b',
    '(a)',
    '\\',
    'a\\b',
  ],
  ...[
    'y',
    '.inf',
    '-.inf',
    '.',
    '..',
    'a:b:',
    'x ~',
    'a ? b',
    'a !b',
    'a &b',
    'a *b',
    "a 'b",
    'a - b',
    'a -',
  ],
];

test.each(TRICKY)('text %j', (value) => {
  for (const data of [value, [value], { key: value }, [[value, value]], { [value]: [{ [value]: value }] }]) {
    expect(text(data, dataNode)).toBe(text(data, libraryNode));
  }
});

test('other values and nesting', () => {
  const data = {
    number: 1.5,
    exact: new ExactNumber('1.20'),
    no: null,
    yes: true,
    list: [],
    map: {},
    nested: [[], {}, [1, [2, ['x']]], { a: { b: [{ c: 1, d: [2] }] } }, null],
  };
  expect(text(data, dataNode)).toBe(text(data, libraryNode));
  expect(parse(text({ a: [{ b: 'c' }] }, dataNode))).toEqual({
    top: { data: { kind: 'K', value: { a: [{ b: 'c' }] } } },
  });
});

test('what is met at several depths has the indentation of each', () => {
  const shared = { list: ['a\nb\n', { c: { d: ['e'] } }], map: { f: [[], {}] } };
  const data = { shared, below: { shared, list: [shared, { shared }] }, again: shared };
  expect(text(data, dataNode)).toBe(text(data, libraryNode));
  expect(text({ other: data }, dataNode)).toBe(text({ other: data }, libraryNode));
});

test('random data', () => {
  let seed = 7;
  const next = (below: number) => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return seed % below;
  };
  const make = (depth: number): unknown => {
    const kind = next(depth > 3 ? 2 : 4);
    if (kind < 2) return TRICKY[next(TRICKY.length)];
    const children = Array.from({ length: next(4) }, () => make(depth + 1));
    return kind === 2
      ? children
      : Object.fromEntries(children.map((child, index) => [`${TRICKY[next(TRICKY.length)]}${index}`, child]));
  };
  for (let round = 0; round < 500; round += 1) {
    const data = make(0);
    expect(text(data, dataNode)).toBe(text(data, libraryNode));
  }
});

test('an object with a header, alone and in a list', () => {
  const header = { kind: 'K', metadata: { name: 'n', labels: { a: 'yes' } } };
  for (const data of [{}, { a: 'b', list: ['1', { c: 'x\ny\n' }] }, { odd: "it's", no: undefined }]) {
    const expected = toNode({ ...header, ...data });
    const [alone, inList] = [expected, toNode([{ ...header, ...data }])].map((contents) => {
      const document = new Document(undefined, PARSE_OPTIONS);
      document.contents = contents as typeof document.contents;
      return document.toString(STRINGIFY_OPTIONS);
    });
    const document = new Document(undefined, PARSE_OPTIONS);
    document.contents = withData(toNode(header) as YAMLMap, data) as typeof document.contents;
    expect(document.toString(STRINGIFY_OPTIONS)).toBe(alone);
    const list = new YAMLSeq();
    list.items = [withData(toNode(header) as YAMLMap, data)];
    document.contents = list as typeof document.contents;
    expect(document.toString(STRINGIFY_OPTIONS)).toBe(inList);
    expect(document.toJS()).toEqual([{ ...header, ...JSON.parse(JSON.stringify(data)) }]);
  }
});

test('in a list that is written in one line, it is so too', () => {
  const document = new Document({ top: [] }, PARSE_OPTIONS);
  (document.get('top') as { flow: boolean }).flow = true;
  document.addIn(['top'], dataNode({ a: ['b', 1] }));
  expect(parse(document.toString())).toEqual({ top: [{ kind: 'K', value: { a: ['b', 1] } }] });
});

test('in a list that is JSON: JSON with the digits of exact numbers', () => {
  const data = {
    exact: [new ExactNumber('1.20')],
    big: new ExactNumber('9223372036854775807'),
  };
  const written = (node: unknown) => {
    const document = new Document({ items: [] }, PARSE_OPTIONS);
    document.setIn(['items'], node);
    (document.contents as unknown as YAMLMap).flow = true;
    return document.toString(STRINGIFY_OPTIONS);
  };
  expect(written(dataNode([data]))).toContain('[{"exact":[1.20],"big":9223372036854775807}]');
  const headed = withData(toNode({ kind: 'K' }) as YAMLMap, data);
  expect(written(headed)).toContain('{"kind":"K","exact":[1.20],"big":9223372036854775807}');
  expect(headed.toJSON()).toEqual({ kind: 'K', exact: [1.2], big: Number('9223372036854775807') });
});

// Strings come back the same from every reader of YAML that a catalogue meets: ours, Go's, Python's.
import { isDeepStrictEqual } from 'node:util';
import { Document, parse, type YAMLMap } from 'yaml';
import { withData } from '../../../../image-builder/base/yaml/data-node.ts';
import { PARSE_OPTIONS, STRINGIFY_OPTIONS } from '../../../../image-builder/base/yaml/document.ts';
import { emitDocuments } from '../../../../image-builder/base/yaml/emit.ts';
import { toNode } from '../../../../image-builder/base/yaml/values.ts';
import { type Reading, readByGo, readByPython } from '../../support/yaml-readers.ts';

/** All texts of up to `length` characters of an alphabet. */
function allTexts(alphabet: readonly string[], length: number): string[] {
  let longest = [''];
  const texts = [''];
  for (let n = 1; n <= length; n += 1) {
    longest = longest.flatMap((text) => alphabet.map((character) => text + character));
    texts.push(...longest);
  }
  return texts;
}

/** Made anew the same in each run. */
function randomTexts(alphabet: readonly string[], count: number): string[] {
  let seed = 13;
  const next = (below: number) => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return Math.floor(seed / 65536) % below;
  };
  return Array.from({ length: count }, () =>
    Array.from({ length: 1 + next(60) }, () => alphabet[next(alphabet.length)]).join(''),
  );
}

const BLANKS = [' ', '\n', '\t', 'a', '#', '-', ':'];
const NUMBERS = ['.', '+', '-', '_', '0', '1', 'e', 'x', 'o', ':'];
const INDICATORS = [
  'a',
  ' ',
  '\n',
  '"',
  "'",
  '{',
  '[',
  ',',
  '&',
  '*',
  '!',
  '|',
  '>',
  '%',
  '@',
  '`',
  '?',
  '\\',
] as const;
const WORDS = ['y', 'n', 'o', 'e', 's', 'f', '=', '<', '~', 'N', '.', 'i'];
const ODD = [
  'a',
  '\n',
  ' ',
  '\t',
  '\r',
  '\u0000',
  '\u0007',
  '\u001b',
  '\u007f',
  '\u0085',
  '\u009f',
  '\u00a0',
  '\u00ad',
  '\u2028',
  '\u2029',
  '\u200b',
  '\ufeff',
  '\ufffd',
  '\ufffe',
  '\uffff',
  'ä',
  '日',
  '😀',
  '\u{1fffe}',
];
const WELL_KNOWN = [
  'null',
  'Null',
  '~',
  'true',
  'False',
  'yes',
  'No',
  'ON',
  'off',
  '.inf',
  '-.INF',
  '+.inf',
  '.nan',
  '.NaN',
  '0755',
  '0o17',
  '0x1F',
  '0b11',
  '1_000',
  '-_1',
  '1:30',
  '190:20:30',
  '2024-01-01',
  '2001-12-14t21:59:43.10-05:00',
  '1e3',
  '1E400',
  '.5',
  '5.',
  '-',
  '--',
  '---',
  '--- a',
  '...',
  '... a',
  '<<',
  '=',
  '%YAML 1.2',
  '!!str',
  '8021q',
  'a'.repeat(2000),
  `${'word '.repeat(300)}`,
  `#!/bin/sh\nif x; then\n\techo "a: b" # c\nfi\n`,
  'a: b\n\tc\n',
  'a\n\n\n\tb\n \n  c',
];

const ALL = [
  ...new Set([
    ...allTexts(BLANKS, 4),
    ...allTexts(NUMBERS, 3),
    ...allTexts(INDICATORS, 2),
    ...allTexts(WORDS, 3),
    ...allTexts(ODD, 2),
    ...WELL_KNOWN,
    ...randomTexts([...BLANKS, ...INDICATORS], 3000),
    ...randomTexts([...ODD, ...BLANKS], 1000),
  ]),
];
/** Documents of a thousand texts each: starting a reader takes longer than reading. */
const chunks = Array.from({ length: Math.ceil(ALL.length / 1000) }, (_, index) =>
  ALL.slice(index * 1000, (index + 1) * 1000),
);

const header = { apiVersion: 'a.b/v1', kind: 'V', metadata: { name: 'x' } };
/** As the function writes an object. */
const write = ({ list, deep, map }: ReturnType<typeof placed>) => {
  const document = new Document(undefined, PARSE_OPTIONS);
  document.contents = withData(toNode(header) as YAMLMap, { list, deep, map }) as typeof document.contents;
  return document.toString(STRINGIFY_OPTIONS);
};
/** In a list, below a key deeper down, and as a key. */
const placed = (texts: string[]) => ({
  ...header,
  list: texts,
  deep: texts.map((text) => ({ a: text })),
  // kyaml takes the quoted key, too, for a merge, and drops it; the function warns of that.
  map: Object.fromEntries(texts.filter((text) => text !== '<<').map((text) => [text, 'v'])),
});

/** The first texts that do not come back, alone in a document. */
function differing(
  texts: string[],
  read: (documents: string[]) => { value?: unknown; error?: string }[],
): unknown[] {
  const values = texts.map((text) => placed([text]));
  return read(values.map(write))
    .flatMap(({ value, error }, index) =>
      isDeepStrictEqual(value, values[index])
        ? []
        : [[texts[index], error ?? (value as { list: string[] }).list]],
    )
    .slice(0, 5);
}

test.each<[string, (texts: string[]) => Reading[]]>([
  [
    'JavaScript, YAML 1.2',
    (texts: string[]) => texts.map((text) => ({ value: parse(text, { uniqueKeys: false }) })),
  ],
  [
    'JavaScript, YAML 1.1',
    (texts: string[]) =>
      texts.map((text) => ({ value: parse(text, { version: '1.1', merge: true, uniqueKeys: false }) })),
  ],
  ['kyaml', (texts: string[]) => readByGo(texts).map(({ kyaml }) => kyaml)],
  ['sigs.k8s.io/yaml', (texts: string[]) => readByGo(texts).map(({ sigs }) => sigs)],
  ['PyYAML', readByPython],
])('every text comes back from %s', (_name, read) => {
  const values = chunks.map(placed);
  const readings = read(values.map(write));
  for (const [index, reading] of readings.entries()) {
    const value = values[index];
    if (isDeepStrictEqual(reading.value, value)) continue;
    expect([reading.error, differing(chunks[index] as string[], read)]).toEqual([undefined, []]);
  }
});

test('documents that are written node by node have the same text', () => {
  for (const texts of chunks) expect(emitDocuments([placed(texts)])).toBe(write(placed(texts)));
});

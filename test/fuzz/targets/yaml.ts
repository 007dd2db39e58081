// ResourceLists come back as they were; data are read as they were written, by YAML 1.1 and 1.2.
import { Document, parse, type YAMLMap } from 'yaml';
import { readQuestion, runOnQuestion } from '../../../functions/image-builder/run.ts';
import { InvalidInputError } from '../../../image-builder/base/diagnostics/error.ts';
import { withData } from '../../../image-builder/base/yaml/data-node.ts';
import { PARSE_OPTIONS, STRINGIFY_OPTIONS } from '../../../image-builder/base/yaml/document.ts';
import { toNode } from '../../../image-builder/base/yaml/values.ts';
import { parseJson } from '../../../image-builder/bundle/profile/json.ts';
import { type Target, Violation } from '../campaign.ts';
import { corpus } from '../corpus.ts';
import { mutateText } from '../mutate.ts';
import type { Random } from '../random.ts';

const LISTS = corpus('resource-lists').map((text) => text.toString());

export const resourceLists: Target<string> = {
  name: 'resource-lists',
  generate: (random) => mutateText(random, random.pick(LISTS), '{}[]:,-&*!|>\'"#%@` \n\tab0~?é\u2028\u0085'),
  check: async (text) => {
    const question = readQuestion(text);
    // Its own errors only, and an answer whatever happens.
    if (question.findings) {
      for (const { message } of question.findings) {
        if (message.startsWith('unexpected error')) throw new Violation(message);
      }
      const { output } = await runOnQuestion(question, {} as never, {});
      if (readQuestion(output).findings) throw new Violation(`the answer is no ResourceList:\n${output}`);
      throw new InvalidInputError(question.findings);
    }
    const written = question.list.toString();
    const again = readQuestion(written);
    if (again.findings) throw new Violation(`comes back as what cannot be read:\n${written}`);
    // The library moves comments in odd places, and takes U+2028 for the end of one.
    if (!text.includes('#') && again.list.toString() !== written) {
      throw new Violation(`changes each time:\n${JSON.stringify(written)}`);
    }
    const [before, after] = [question, again].map(({ list }) => JSON.stringify(list.readItems()));
    // A map as a key, which no object of Kubernetes has, is read as some text.
    if (before !== after && !before?.includes('"{\\"'))
      throw new Violation(`items change: ${before}\nto: ${after}\nin:\n${written}`);
  },
};

const WORDS = [
  ...[
    'yes',
    'no',
    'on',
    'null',
    '~',
    '0755',
    '1.20',
    '1e3',
    '0x1f',
    '2024-01-01',
    '12:30:45',
    '.inf',
    '-.5',
    '0o7',
  ],
  ...[
    '- a',
    '? b',
    'a: b',
    'a #b',
    '---',
    '...',
    '<<',
    '=',
    '',
    '-',
    '?',
    ':',
    '- ',
    'a:',
    ' a',
    'a ',
    '|',
    '>',
  ],
  ...[
    '+1',
    '1_000',
    '!!x',
    '%a',
    '@',
    '`',
    'y',
    'N',
    '\n',
    'a\n',
    'a\n\n',
    '\na',
    'a\n b',
    '  a\nb',
    '{{ x }}',
  ],
  ...[
    ' \n',
    '\n ',
    '\t',
    '\t\n',
    ' \n\t\n',
    'a\t',
    '.',
    '+.',
    '-.',
    '#',
    '-\n',
    '\u0085',
    '\ufeff',
    '\x7f',
    '\ufffe',
  ],
];
const LETTERS = [...'abcXYZ019 -_.:,#&*!|>\'"%@`{}[]?~=<\\/\n\téß\u2028\u0085\ufeff\u0007\u{1f600}+'];

function anyText(random: Random): string {
  if (random.once(3)) return random.pick(WORDS);
  return Array.from({ length: random.below(12) }, () => random.pick(LETTERS)).join('');
}

/** Text, numbers, lists and maps as JSON has them. */
export function anyValue(random: Random, depth: number): unknown {
  const kind = random.below(depth > 0 ? 9 : 6);
  if (kind < 4) return anyText(random);
  if (kind === 4) return random.pick([0, 1, -1, 1.5, 0.001, 123456789012]);
  if (kind === 5) return random.pick([true, false, null]);
  const values = Array.from({ length: random.below(4) }, () => anyValue(random, depth - 1));
  return kind === 8 ? values : Object.fromEntries(values.map((value) => [anyText(random), value]));
}

const HEADER = { kind: 'K' };

/** An object with fields as a catalogue has them. */
export const catalogueText = (fields: Record<string, unknown>): string =>
  documentText(withData(toNode(HEADER) as YAMLMap, fields));

function documentText(node: unknown): string {
  const document = new Document(undefined, PARSE_OPTIONS);
  document.contents = node as typeof document.contents;
  return document.toString(STRINGIFY_OPTIONS);
}

export const data: Target = {
  name: 'data',
  generate: (random) => ({ k: anyValue(random, 4) }),
  check: (input) => {
    const fields = input as Record<string, unknown>;
    const text = catalogueText(fields);
    const object = { ...HEADER, ...fields };
    if (text !== documentText(toNode(object))) throw new Violation(`is written in two ways:\n${text}`);
    const expected = JSON.stringify(object);
    for (const version of ['1.1', '1.2'] as const) {
      const read = JSON.stringify(parse(text, { version, merge: false }));
      if (read !== expected) throw new Violation(`is read by YAML ${version} as ${read}:\n${text}`);
    }
    parseJson(expected);
  },
};

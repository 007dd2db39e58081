// How documents are read and written: every scalar keeps the text that it was written with, and what is written is read
// alike by the YAML of JavaScript, Go and Python.
import { type Document, isScalar, type Scalar, type ScalarTag, type Tags } from 'yaml';
import { quoted } from './text-style.ts';

type Stringify = NonNullable<ScalarTag['stringify']>;

/** Blocks that some reader takes for something else: empty, only blanks, or begun by a tab or by blanks alone. */
const MISREAD_BLOCK = /^(?:\s*$|[ \n]*\t| +\n)/;

/** Text by the styles that all readers share; whatever else the source has written stays as it is. */
const stringify =
  (otherwise: Stringify): Stringify =>
  (item, context, onComment, onChompKeep) => {
    const { type, value } = item as Scalar;
    const text = typeof value === 'string' ? value : String(value ?? '');
    const isBlock = type === 'BLOCK_LITERAL' || type === 'BLOCK_FOLDED';
    // Scalars that we have made have no style, or that of a block; in an object that came as JSON they must be quoted.
    const isMadeInFlow = context.inFlow === true && (type === undefined || isBlock);
    if (type === 'QUOTE_DOUBLE' || isMadeInFlow || (isBlock && MISREAD_BLOCK.test(text))) return quoted(text);
    const written = otherwise(item, context, onComment, onChompKeep);
    // Quoted by the library, which leaves characters as they are that end a line for other readers.
    return written.startsWith('"') ? quoted(text) : written;
  };

/** The failsafe schema (YAML 1.2, 10.1), and nothing for keys and values that are not there. */
function customTags(tags: Tags): Tags {
  const isText = (tag: Tags[number]): tag is ScalarTag =>
    typeof tag === 'object' && tag.tag === 'tag:yaml.org,2002:str';
  const text = tags.find(isText) as ScalarTag;
  const write = stringify(text.stringify as Stringify);
  const nothing: ScalarTag = {
    identify: (value) => value === null || value === undefined,
    default: true,
    tag: 'tag:yaml.org,2002:null',
    resolve: (source) => source,
    stringify: (item, ...rest) => ((item as Scalar).value ? write(item, ...rest) : ''),
  };
  return [...tags.filter((tag) => !isText(tag)), { ...text, stringify: write }, nothing];
}

/** Whether nothing but comments is in a document, as after the last `---` of writers that end each document by one. */
export function isEmpty({ contents }: Document): boolean {
  return contents === null || (isScalar(contents) && contents.type === 'PLAIN' && contents.value === '');
}

/**
 * Options for parsing documents that are written again. Tags stay what they are: of a `!!timestamp` or `!!binary` the library
 * would keep the value instead of the text.
 */
export const PARSE_OPTIONS = { schema: 'failsafe', customTags, resolveKnownTags: false } as const;

/** Line breaks of YAML 1.1 and of regular expressions, not of YAML 1.2: whatever follows one would no longer be a comment. */
const ODD_BREAKS = /[\u0085\u2028\u2029]/g;

/** The lines of a comment, each behind a `#`. */
const commentString = (comment: string): string =>
  comment
    .replace(ODD_BREAKS, ' ')
    .split('\n')
    .map((line) => (line === '' ? '' : line === ' ' ? '#' : `#${line}`))
    .join('\n');

/** Options for writing documents: lines are never folded, lists are indented as Kubernetes tools write them. */
export const STRINGIFY_OPTIONS = {
  lineWidth: 0,
  indentSeq: false,
  flowCollectionPadding: false,
  commentString,
} as const;

// Reads YAML that people have written for this program: the value of every document, or everything that is wrong.
//
// What is read may be a file that is not meant for whoever sees the messages, so these say where a mistake is, and repeat
// nothing that was read.
import type { Document } from 'yaml';
import { LineCounter, parseAllDocuments } from 'yaml';
import { describeDangling } from './aliases.ts';
import type { Source } from './excerpt.ts';
import { describeTag, isForeignTag } from './tags.ts';
import { readValue, ValueError } from './values.ts';

/** Documents by the core schema of YAML 1.2, with the merge keys of 1.1; empty ones are left out. */
export interface ReadDocuments {
  values: unknown[];
  /** Where each value comes from, for excerpts. */
  sources: Source[];
  /** What is wrong, each with its line and column; values are only there when nothing is. */
  problems: string[];
}

/** @param firstLine number of the line in its file where the text begins */
export function readDocuments(text: string, { firstLine = 1 } = {}): ReadDocuments {
  const lines = new LineCounter();
  // The failsafe schema keeps the text of every scalar.
  const parsed = parseAllDocuments(text, {
    schema: 'failsafe',
    resolveKnownTags: false,
    lineCounter: lines,
    prettyErrors: false,
  });
  const documents = Array.isArray(parsed) ? (parsed as Document[]) : [];
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `at line ${line + firstLine - 1}, column ${col}`;
  };
  const problems = documents.flatMap((document) => [
    ...document.errors.map(({ code, message, pos }) => `${describe(code, message)} ${at(pos[0])}`),
    // A tag that nobody here knows would leave text that means something else.
    ...document.warnings
      .filter(({ code }) => code === 'TAG_RESOLVE_FAILED')
      .map(({ pos }) => ({ tag: text.slice(...pos), offset: pos[0] }))
      .filter(({ tag }) => isForeignTag(tag.replace(/^!!/, 'tag:yaml.org,2002:')))
      .map(({ tag, offset }) => `${describeTag(tag)} ${at(offset)}`),
  ]);
  if (problems.length > 0) return { values: [], sources: [], problems };
  try {
    if (documents.some((document) => describeDangling(document))) return unresolved();
    const read = documents
      .map((document) => ({ value: readValue(document.contents, document), document }))
      .filter(({ value }) => value !== null);
    return {
      values: read.map(({ value }) => value),
      sources: read.map(({ document }) => ({ source: text, document, lineCounter: lines })),
      problems,
    };
  } catch (error) {
    if (error instanceof ValueError) return unresolved();
    throw error;
  }
}

/** Aliases without an anchor, in a circle, or multiplied beyond measure; merge keys that merge no map. */
const unresolved = (): ReadDocuments => ({
  values: [],
  sources: [],
  problems: ['its aliases cannot be resolved'],
});

/** Mistakes whose messages are always the same words; others repeat what the parser has met. */
const FIXED_WORDS: ReadonlySet<string> = new Set([
  'BAD_INDENT',
  'BLOCK_AS_IMPLICIT_KEY',
  'DUPLICATE_KEY',
  'KEY_OVER_1024_CHARS',
  'MISSING_CHAR',
  'MULTILINE_IMPLICIT_KEY',
  'TAB_AS_INDENT',
]);

const describe = (code: string, message: string): string =>
  FIXED_WORDS.has(code) ? message : code.toLowerCase().replaceAll('_', ' ');

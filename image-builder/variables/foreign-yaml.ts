// YAML of files that a spec names. The path may lead to something that is not meant to be read by whoever sees the
// messages, so these say where the mistake is and quote no line.
import { LineCounter, parseDocument } from 'yaml';
import type { Source } from '../yaml/excerpt.ts';

/** Aliases may multiply a value so often. */
const ALIASES = 100;

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

/** The value of a document, or what is wrong with it, in one line. */
export function parseForeignYaml(text: string): { value: unknown; source: Source } | { problem: string } {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  // A tag that nobody knows (Ansible's !vault) would leave text that means something else.
  const [error] = [...document.errors, ...document.warnings];
  if (error) {
    const { line, col } = lines.linePos(error.pos[0]);
    const what = FIXED_WORDS.has(error.code) ? error.message : describe(error.code);
    return { problem: `${what} at line ${line}, column ${col}` };
  }
  try {
    const value: unknown = document.toJS({ maxAliasCount: ALIASES });
    return { value, source: { source: text, document, lineCounter: lines } };
  } catch {
    // An alias without an anchor, or one that multiplies too much: the parser names it.
    return { problem: 'its aliases cannot be resolved' };
  }
}

function describe(code: string): string {
  if (code === 'TAG_RESOLVE_FAILED') return 'a tag that is not known';
  return code.toLowerCase().replaceAll('_', ' ');
}

// Shows where in a YAML source a finding is: the line, and carets below the key or the value.
import type { Document, LineCounter, Node } from 'yaml';
import { isMap, isNode, isSeq } from 'yaml';
import { parseFieldPath } from '../diagnostics/field-path.ts';
import { keyText } from './values.ts';

/** A parsed source text. */
export interface Source {
  source: string;
  document: Document;
  lineCounter: LineCounter;
}

/** A place in the source. */
interface Place {
  key?: Node;
  value?: Node;
  isExact?: boolean;
}

/** Where a field is, for people. */
export interface Excerpt {
  /** From 1. */
  line: number;
  /** The line with carets below, as two lines of text. */
  text: string;
  /** false: the field is not there, and this is the innermost object on the way to it. */
  isExact: boolean;
}

/** The text of {@link findExcerpt}. */
export function excerpt(source: Source, field: string, message: string): string | undefined {
  return findExcerpt(source, field, message)?.text;
}

/**
 * Shows the line of a field; undefined when the source has nothing of the path. The value is only shown when the finding's
 * `message` names it, since it may be a secret.
 */
export function findExcerpt(
  { source, document, lineCounter }: Source,
  field: string,
  message: string,
): Excerpt | undefined {
  const place = locate(document.contents, field);
  const keyRange = place?.key?.range;
  const valueRange = place?.value?.range;
  const valueText = valueRange ? source.slice(valueRange[0], valueRange[1]).trimEnd() : '';
  const isNamed = valueText !== '' && !valueText.includes('\n') && names(message, unquote(valueText));
  const range = isNamed || !keyRange ? valueRange : keyRange;
  if (!range) return undefined;
  const { line, col } = lineCounter.linePos(range[0]);
  const lineStart = range[0] - col + 1;
  // Of a line with several fields only this one is shown: the others may be secrets.
  const start = keyRange && keyRange[0] >= lineStart ? keyRange[0] : range[0];
  const before = source.slice(lineStart, start);
  const indent = /^[\s-]*$/.test(before) ? before : `${/^\s*/.exec(before)?.[0]}... `;
  const valueEnd = range[0] + valueText.length;
  const rest = isNamed ? source.slice(valueEnd, endOfLine(source, valueEnd)).trim() : '';
  const isAlone = rest === '' || rest.startsWith('#');
  const shown = isNamed
    ? `${source.slice(start, valueEnd)}${isAlone ? '' : ' ...'}`
    : `${keyRange ? source.slice(start, keyRange[1]) : ''}${keyRange ? ': ...' : '...'}`;
  const width = Math.max(1, isNamed ? valueText.length : keyRange ? keyRange[1] - keyRange[0] : 3);
  const gutter = String(line).padStart(5);
  const offset = `${indent}${source.slice(start, range[0])}`.replace(/[^\t]/g, ' ');
  const text = `${gutter} | ${indent}${shown}\n${' '.repeat(gutter.length)} | ${offset}${'^'.repeat(width)}`;
  return { line, text, isExact: place?.isExact ?? false };
}

function endOfLine(source: string, from: number): number {
  const end = source.indexOf('\n', from);
  return end < 0 ? source.length : end;
}

/** Whether the message has the text as a word of its own. */
function names(message: string, text: string): boolean {
  for (let at = message.indexOf(text); at >= 0; at = message.indexOf(text, at + 1)) {
    const before = message[at - 1] ?? ' ';
    const after = message[at + text.length] ?? ' ';
    if (/[\s"]/.test(before) && /[\s",;]/.test(after)) return true;
  }
  return false;
}

function unquote(text: string): string {
  return text.replace(/^(["'])(.*)\1$/, '$2');
}

/** The place of a field, or of the innermost object of its path that is there. */
function locate(root: unknown, field: string): Place | undefined {
  let place: Place | undefined;
  let node = root;
  for (const segment of parseFieldPath(field)) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => keyText(key) === String(segment));
      if (!pair) return place;
      node = pair.value;
      place = { ...nodeAs('key', pair.key), ...nodeAs('value', pair.value) };
    } else if (isSeq(node)) {
      node = node.items[Number(segment)];
      if (!isNode(node)) return place;
      place = { value: node };
    } else return place;
  }
  return place && { ...place, isExact: true };
}

function nodeAs<Name extends 'key' | 'value'>(name: Name, node: unknown): { [name in Name]?: Node } {
  return isNode(node) ? ({ [name]: node } as { [name in Name]: Node }) : {};
}

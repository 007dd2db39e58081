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
}

/**
 * The line of a field with carets below, as two lines of text; undefined when the source has nothing of the path.
 * The value is only shown when the finding's `message` names it, since it may be a secret.
 */
export function excerpt(
  { source, document, lineCounter }: Source,
  field: string,
  message: string,
): string | undefined {
  const place = locate(document.contents, field);
  const keyRange = place?.key?.range;
  const valueRange = place?.value?.range;
  const valueText = valueRange ? source.slice(valueRange[0], valueRange[1]).trimEnd() : '';
  const isNamed = valueText !== '' && !valueText.includes('\n') && names(message, unquote(valueText));
  const range = isNamed || !keyRange ? valueRange : keyRange;
  if (!range) return undefined;
  const { line, col } = lineCounter.linePos(range[0]);
  const lineStart = range[0] - col + 1;
  const lineEnd = source.indexOf('\n', lineStart);
  const whole = source.slice(lineStart, lineEnd < 0 ? undefined : lineEnd);
  const shownEnd = isNamed ? range[1] : (keyRange?.[1] ?? range[0]);
  const shown = isNamed ? whole : `${source.slice(lineStart, shownEnd)}${keyRange ? ': ...' : '...'}`;
  const width = Math.max(1, Math.min(range[1], shownEnd, lineStart + whole.length) - range[0]);
  const gutter = String(line).padStart(5);
  const indent = whole.slice(0, col - 1).replace(/[^\t]/g, ' ');
  return `${gutter} | ${shown.trimEnd()}\n${' '.repeat(gutter.length)} | ${indent}${'^'.repeat(width)}`;
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
      if (!pair) break;
      node = pair.value;
      place = { ...nodeAs('key', pair.key), ...nodeAs('value', pair.value) };
    } else if (isSeq(node)) {
      node = node.items[Number(segment)];
      if (!isNode(node)) break;
      place = { value: node };
    } else break;
  }
  return place;
}

function nodeAs<Name extends 'key' | 'value'>(name: Name, node: unknown): { [name in Name]?: Node } {
  return isNode(node) ? ({ [name]: node } as { [name in Name]: Node }) : {};
}

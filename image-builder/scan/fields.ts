// Reads fields of documents of strangers by the types that their format gives them. Another type is an error: what is passed
// over would count as nothing found.
import { isRecord } from '../base/record.ts';
import { ScanError } from './scan-error.ts';

type Fields = Record<string, unknown>;

const wrong = (where: string, expected: string): ScanError =>
  new ScanError('SCAN_INPUT_INVALID', `${where} is not ${expected}`);

/** @param where for errors: the file, the record and the field */
export function asMap(value: unknown, where: string): Fields {
  if (!isRecord(value)) throw wrong(where, 'a map');
  return value;
}

/** An absent list is an empty one. */
export function listOf<Item>(
  value: unknown,
  where: string,
  item: (value: unknown, where: string) => Item,
): Item[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw wrong(where, 'a list');
  return value.map((one, index) => item(one, `${where}[${index}]`));
}

/** Longer texts are no names, versions or states. */
const LONGEST = 1024;

/** A text of at most {@link LONGEST} characters. @throws ScanError SCAN_INPUT_INVALID */
export function asText(value: unknown, where: string): string {
  if (typeof value !== 'string') throw wrong(where, 'a text');
  if (value.length > LONGEST) throw wrong(where, `a text of at most ${LONGEST} characters`);
  return value;
}

/** The same for a field that may be absent or null. @throws ScanError SCAN_INPUT_INVALID */
export function optionalText(value: unknown, where: string): string | undefined {
  return value === undefined || value === null ? undefined : asText(value, where);
}

/** A map; an absent one is empty. @throws ScanError SCAN_INPUT_INVALID */
export function optionalMap(value: unknown, where: string): Fields {
  return value === undefined || value === null ? {} : asMap(value, where);
}

/** The first line of a description of any length; what is no text describes nothing. */
export function firstLine(value: unknown): string {
  if (typeof value !== 'string') return '';
  const line = value.trimStart().slice(0, 500).split('\n')[0]?.trim() ?? '';
  return line.length > 200 ? `${line.slice(0, 199)}…` : line;
}

/** JSON of a stranger. @throws ScanError */
export function parseDocument(content: Uint8Array, where: string): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(content));
  } catch (cause) {
    throw new ScanError('SCAN_INPUT_INVALID', `${where} is no JSON: ${(cause as Error).message}`, { cause });
  }
}

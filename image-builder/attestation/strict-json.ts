// JSON whose meaning does not depend on the reader: no key twice in an object (RFC 8259, section 4), UTF-8 throughout.
import { isUtf8 } from 'node:buffer';

/**
 * Parses JSON text in UTF-8.
 * @throws SyntaxError for anything that two readers could understand differently
 */
export function parseStrictJson(bytes: Uint8Array): unknown {
  if (!isUtf8(bytes)) throw new SyntaxError('it is no UTF-8 text');
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  const value: unknown = JSON.parse(text);
  // What is written as it was read has no key that was lost in between; statements usually are, and that is many times faster.
  if (JSON.stringify(value) !== text) refuseRepeatedKeys(text);
  return value;
}

/** @param text that JSON.parse takes */
function refuseRepeatedKeys(text: string): void {
  // For each open object its keys, for each open array nothing.
  const open: (Set<string> | undefined)[] = [];
  for (const [token, string, colon] of text.matchAll(TOKENS)) {
    if (token === '{') open.push(new Set());
    else if (token === '[') open.push(undefined);
    else if (token === '}' || token === ']') open.pop();
    else if (string !== undefined && colon !== undefined) {
      const key: string = JSON.parse(string);
      const keys = open.at(-1);
      if (keys?.has(key)) throw new SyntaxError(`the key ${string} stands twice in an object`);
      keys?.add(key);
    }
  }
}

/** Brackets, and strings with the colon behind those that are keys. */
const TOKENS = /[{}[\]]|("(?:[^"\\]|\\.)*")\s*(:)?/gs;

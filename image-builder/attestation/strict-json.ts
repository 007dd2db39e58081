// JSON whose meaning does not depend on the reader: no key twice in an object (RFC 8259, section 4), UTF-8 throughout.

/**
 * Parses JSON text in UTF-8.
 * @throws SyntaxError for anything that two readers could understand differently
 */
export function parseStrictJson(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new SyntaxError('it is no UTF-8 text');
  }
  const value: unknown = JSON.parse(text);
  refuseRepeatedKeys(text);
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

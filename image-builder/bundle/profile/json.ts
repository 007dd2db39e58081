// Reads JSON without changing its numbers.
import { ExactNumber } from '../../base/yaml/values.ts';

/** A string or a number of a JSON text; strings are matched so that digits in them are not. */
const STRING_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*/g;

/**
 * Parses JSON. A number that JavaScript would print differently (`1.20`, `1e3`, `9223372036854775807`) becomes an
 * {@link ExactNumber}.
 * @throws SyntaxError when the text is not JSON
 */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  if (isOurs(text, value)) return withSharedParts(value);
  const exact: string[] = [];
  const marked = text.replace(STRING_OR_NUMBER, (token) => {
    if (token.startsWith('"') || String(Number(token)) === token) return token;
    return `{${JSON.stringify(MARK)}:${exact.push(token) - 1}}`;
  });
  if (exact.length === 0) return value;
  return JSON.parse(marked, (_key, child) => {
    const index = child !== null && typeof child === 'object' ? child[MARK] : undefined;
    const token = typeof index === 'number' ? exact[index] : undefined;
    return token === undefined ? child : new ExactNumber(token);
  });
}

/** Parts of texts that were parsed before, by their JSON. */
const parts = new Map<string, unknown>();

/** The profiles of a build have most variables in common: what is equal becomes the same, so that it is written once. */
function withSharedParts(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, part]) => {
      if (typeof part !== 'object' || part === null) return [name, part];
      const json = JSON.stringify(part);
      const known = parts.get(json) ?? part;
      parts.set(json, known);
      return [name, known];
    }),
  );
}

/** What JavaScript writes in the same way, as it wrote our own profiles, has no number that it would change. */
function isOurs(text: string, value: unknown): boolean {
  return JSON.stringify(value, undefined, /^\{\n( *)/.exec(text)?.[1] ?? '') === text.trimEnd();
}

/** Key of the objects that stand for numbers while the text is parsed; no profile has such a key. */
const MARK = '\u0000number';

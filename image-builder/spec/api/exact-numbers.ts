// Numbers in ImageBuilder objects that JavaScript cannot hold, or would write differently.
import { ExactNumber } from '../../base/yaml/values.ts';

/**
 * `value` with the text of such a number in its place: `fs.file-max: 9223372036854775807` and `version: 1.20` mean these
 * digits. Where a count is wanted the text is refused as any other text that is none. Nothing is copied without need.
 * @param exceptAt path of what stays as it is
 */
export function withNumbersAsWritten(value: unknown, exceptAt: readonly string[] = []): unknown {
  if (value instanceof ExactNumber) return value.text;
  if (typeof value !== 'object' || value === null) return value;
  const [next, ...rest] = exceptAt;
  const written = Object.entries(value).map(([name, child]): [string, unknown] => {
    if (name !== next) return [name, withNumbersAsWritten(child)];
    return [name, rest.length === 0 ? child : withNumbersAsWritten(child, rest)];
  });
  if (written.every(([name, child]) => child === (value as Record<string, unknown>)[name])) return value;
  return Array.isArray(value) ? written.map(([, child]) => child) : Object.fromEntries(written);
}

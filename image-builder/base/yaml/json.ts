// Writes JSON with the digits that numbers were written with.
import { ExactNumber } from './values.ts';

/** JSON text with two spaces of indentation, as JSON.stringify writes it but for the digits of {@link ExactNumber}. */
export function jsonText(value: unknown, indent = ''): string {
  if (value instanceof ExactNumber) return value.json;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const inner = `${indent}  `;
  const items = Array.isArray(value)
    ? value.map((item) => jsonText(item ?? null, inner))
    : Object.entries(value).flatMap(([name, child]) =>
        child === undefined ? [] : [`${JSON.stringify(name)}: ${jsonText(child, inner)}`],
      );
  const [open, close] = Array.isArray(value) ? ['[', ']'] : ['{', '}'];
  if (items.length === 0) return `${open}${close}`;
  return `${open}\n${inner}${items.join(`,\n${inner}`)}\n${indent}${close}`;
}

// Keys: the identity of a stage's result, before it exists.
import { createHash } from 'node:crypto';

/**
 * JSON with exactly one form for each value: keys sorted, no white space, nothing undefined.
 * @throws TypeError for what JSON cannot say (functions, NaN, dates, ...): an input that is not data has no identity
 */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number' && Number.isFinite(value)) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (isPlainObject(value)) {
    const fields = Object.keys(value)
      .filter((name) => value[name] !== undefined)
      .sort()
      .map((name) => `${JSON.stringify(name)}:${canonicalJson(value[name])}`);
    return `{${fields.join(',')}}`;
  }
  throw new TypeError(`not plain data: ${typeof value} ${String(value)}`);
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype || prototype.constructor?.name === 'Object';
}

/** Hex SHA-256 of the canonical form. */
export function hashOf(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex');
}

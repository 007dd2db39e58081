// Keys: the identity of a stage's result, before it exists.
import { createHash } from 'node:crypto';

/** The forms of objects that were met before; only for as long as nobody changes them. */
export type KnownForms = WeakMap<object, string>;

/**
 * JSON with exactly one form for each value: keys sorted, no white space, nothing undefined.
 * @param known fifty images consist of the same lists, mostly: what was written once is not written again
 * @throws TypeError for what JSON cannot say (functions, NaN, dates, ...): an input that is not data has no identity
 */
export function canonicalJson(value: unknown, known: KnownForms = new WeakMap()): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number' && Number.isFinite(value)) return JSON.stringify(value);
  if (typeof value !== 'object') throw notData(value);
  const form = known.get(value) ?? canonicalForm(value, known);
  known.set(value, form);
  return form;
}

function canonicalForm(value: object, known: KnownForms): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item, known)).join(',')}]`;
  if (!isPlainObject(value)) throw notData(value);
  const fields: string[] = [];
  for (const name of Object.keys(value).sort()) {
    const child = value[name];
    if (child !== undefined) fields.push(`${JSON.stringify(name)}:${canonicalJson(child, known)}`);
  }
  return `{${fields.join(',')}}`;
}

function notData(value: unknown): TypeError {
  return new TypeError(`not plain data: ${typeof value} ${String(value)}`);
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype || prototype.constructor?.name === 'Object';
}

/** Hex SHA-256 of the canonical form. */
export function hashOf(value: unknown, known?: KnownForms): string {
  return createHash('sha256').update(canonicalJson(value, known)).digest('hex');
}

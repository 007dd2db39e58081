// Interprets the scalars that the predecessor's variable files also write as text.

/** `8`, `"8"` → 8. The schema has made sure that there are only digits. */
export const toNumber = (value: string | number): number => Number(value);

/** `true`, `"yes"`, `"on"` → true. */
export const toBoolean = (value: string | boolean): boolean =>
  typeof value === 'boolean' ? value : ['true', 'yes', 'on'].includes(value.toLowerCase());

/** What a scalar looks like in a configuration file. */
export const toText = (value: string | number | boolean): string => String(value);

/** The entries of `object` that have a value: for optional properties, which may be absent but not undefined. */
export function defined<T extends object>(object: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as never;
}

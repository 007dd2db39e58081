// What differs between the inputs of two builds. Pure.
import { redactCredentials } from '../base/diagnostics/redact.ts';
import { isRecord } from '../base/record.ts';

/** A value that was added, removed or replaced. */
export interface Change {
  /** Where: `osconfig.sysctl[3].value`. */
  path: string;
  /** Absent: it was added. */
  before?: unknown;
  /** Absent: it was removed. */
  after?: unknown;
}

/** Fields whose values are never shown. */
const SECRET = 'password_hash';
const HIDDEN = '(hidden)';

/** The differences between two values of plain data, in the order of `after`. */
export function changesBetween(before: unknown, after: unknown, path = ''): Change[] {
  if (isList(before) && isList(after)) return listChanges(before, after, path);
  if (isRecord(before) && isRecord(after)) {
    const names = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...names].flatMap((name) => {
      const field = path ? `${path}.${name}` : name;
      if (before[name] === undefined && after[name] === undefined) return [];
      return changesBetween(before[name], after[name], field);
    });
  }
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  const hide = (value: unknown) => (path.endsWith(SECRET) ? HIDDEN : withoutSecrets(value));
  return [
    {
      path,
      ...(before === undefined ? {} : { before: hide(before) }),
      ...(after === undefined ? {} : { after: hide(after) }),
    },
  ];
}

/** A copy that can be shown: neither hashes of passwords nor the credentials of a repository's URL. */
function withoutSecrets(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (name, field) => {
    if (name === SECRET) return HIDDEN;
    return typeof field === 'string' ? redactCredentials(field) : field;
  });
}

/** Lists of words are compared as sets, lists of named things by name, others by position. */
function listChanges(before: readonly unknown[], after: readonly unknown[], path: string): Change[] {
  if ([...before, ...after].every((item) => typeof item === 'string')) {
    return [
      ...after
        .filter((item) => !before.includes(item))
        .map((item) => ({ path: `${path}[]`, after: withoutSecrets(item) })),
      ...before
        .filter((item) => !after.includes(item))
        .map((item) => ({ path: `${path}[]`, before: withoutSecrets(item) })),
    ];
  }
  const [namedBefore, namedAfter] = [byName(before), byName(after)];
  if (namedBefore && namedAfter) {
    const names = new Set([...namedBefore.keys(), ...namedAfter.keys()]);
    return [...names].flatMap((name) =>
      changesBetween(namedBefore.get(name), namedAfter.get(name), `${path}[name=${name}]`),
    );
  }
  const length = Math.max(before.length, after.length);
  return Array.from({ length }, (_, index) =>
    changesBetween(before[index], after[index], `${path}[${index}]`),
  ).flat();
}

/** The items by their names, if every one has a name of its own. */
function byName(items: readonly unknown[]): Map<string, unknown> | undefined {
  const named = new Map<string, unknown>();
  for (const item of items) {
    if (!isRecord(item) || typeof item.name !== 'string' || named.has(item.name)) return undefined;
    named.set(item.name, item);
  }
  return named;
}

function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}

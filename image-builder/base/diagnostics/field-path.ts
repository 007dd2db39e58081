// Paths of fields as people read them: `spec.build.qcows.control-plane.qcow.partitions[2].part_end`.

/** Names of fields and indexes of lists, from the root of the object. */
export type FieldPath = readonly (string | number)[];

/** The path as text; a name that would be ambiguous is quoted: `labels["example.org/a"]`. */
export function formatFieldPath(path: FieldPath): string {
  return path
    .map((segment, index) => {
      if (typeof segment === 'number') return `[${segment}]`;
      if (!/^[\w-]+$/.test(segment)) return `[${JSON.stringify(segment)}]`;
      return index === 0 ? segment : `.${segment}`;
    })
    .join('');
}

/** The path that {@link formatFieldPath} wrote. */
export function parseFieldPath(text: string): FieldPath {
  const segments = text.matchAll(/\[([0-9]+)\]|\[("(?:[^"\\]|\\.)*")\]|([^.[\]]+)/g);
  return Array.from(segments, ([, index, quoted, name]) => {
    if (index !== undefined) return Number(index);
    return quoted === undefined ? (name ?? '') : String(JSON.parse(quoted));
  });
}

/** The path of an RFC 6901 JSON pointer into `root`; a segment is an index when it leads into a list. */
export function pathOfPointer(pointer: string, root: unknown): FieldPath {
  let value = root;
  return pointer
    .split('/')
    .slice(1)
    .map((escaped) => {
      const name = escaped.replace(/~1/g, '/').replace(/~0/g, '~');
      const segment = Array.isArray(value) ? Number(name) : name;
      value = (value as Record<string | number, unknown> | undefined)?.[segment];
      return segment;
    });
}

// Values that only another program could read: those with a tag of its own.
import type { Finding } from '../../image-builder/base/diagnostics/error.ts';
import { type FieldPath, formatFieldPath } from '../../image-builder/base/diagnostics/field-path.ts';
import { describeTag, ForeignValue } from '../../image-builder/base/yaml/tags.ts';

/** What of the object only another program could read; its caller may have taken such a tag away already. */
export function foreignValues(value: unknown, path: FieldPath = []): Finding[] {
  if (value instanceof ForeignValue) {
    return [{ severity: 'error', field: formatFieldPath(path), message: `has ${describeTag(value.tag)}` }];
  }
  if (typeof value !== 'object' || value === null) return [];
  const children: [string | number, unknown][] = Array.isArray(value)
    ? [...value.entries()]
    : Object.entries(value);
  return children.flatMap(([name, child]) => foreignValues(child, [...path, name]));
}

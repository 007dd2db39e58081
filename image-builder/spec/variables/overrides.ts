// Lays variables over each other by the predecessor's rules: maps are merged, lists and scalars replaced, and what a
// `<list>_append` holds is added to the list that it finds.
import type { FieldPath } from '../../base/diagnostics/field-path.ts';
import type { Source } from '../../base/yaml/excerpt.ts';

/** The variables of one role from one place. */
export interface Layer {
  values: Record<string, unknown>;
  /** Where they stand in the ImageBuilder object: `['spec', 'build', 'rootfs', 'osconfig']`. */
  field: FieldPath;
  /** The file that they were read from; absent for the object itself and for the built-in defaults. */
  file?: string;
  /** The text of that file, to show the line of what is wrong. */
  source?: Source;
}

const APPEND = /_append$/;

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Of the names that mean the same, the one on the right is used. */
const SYNONYMS: Record<string, string> = {
  ubuntu_packages: 'packages',
  ubuntu_packages_append: 'packages_append',
};

/** Where an `_append` list goes when it is not the top-level list of that name. */
const APPEND_TARGETS: Record<string, readonly string[]> = {
  grub_cmdline_linux_default_append: ['grub', 'GRUB_CMDLINE_LINUX_DEFAULT'],
};

/** The variables of `layers`, the later ones over the earlier ones; no `_append` list is left. */
export function mergeLayers(layers: readonly Pick<Layer, 'values'>[]): Record<string, unknown> {
  return layers.reduce<Record<string, unknown>>((merged, { values }) => {
    // Not an object: both names of a list may be there, and both lists are appended.
    const named = Object.entries(values).map(([name, value]): [string, unknown] => [
      SYNONYMS[name] ?? name,
      value,
    ]);
    const own = Object.fromEntries(named.filter(([name]) => !APPEND.test(name)));
    let result = mergeMaps(merged, own);
    for (const [name, value] of named) {
      if (APPEND.test(name) && Array.isArray(value)) {
        result = append(result, APPEND_TARGETS[name] ?? [name.replace(APPEND, '')], value);
      }
    }
    return result;
  }, {});
}

function mergeMaps(below: Record<string, unknown>, above: Record<string, unknown>): Record<string, unknown> {
  const merged = { ...below };
  for (const [name, value] of Object.entries(above)) {
    const under = merged[name];
    merged[name] = isMap(under) && isMap(value) ? mergeMaps(under, value) : value;
  }
  return merged;
}

function append(
  map: Record<string, unknown>,
  [name = '', ...rest]: readonly string[],
  items: readonly unknown[],
): Record<string, unknown> {
  const under = map[name];
  const value =
    rest.length > 0
      ? append(isMap(under) ? under : {}, rest, items)
      : [...(Array.isArray(under) ? under : []), ...items];
  return { ...map, [name]: value };
}

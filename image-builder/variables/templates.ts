// Ansible's templates in variables. A plain reference (`kubelet={{ k8s_version }}`) is replaced here; everything else
// is left to Ansible itself, which costs a second and is therefore only started when there is something for it.
import type { Layer } from './layers.ts';
import { mergeLayers } from './layers.ts';

/** The layers of one image by role. */
export type Scope = { [role: string]: Layer[] };

interface Scopes {
  rootfs: Scope;
  qcows: Record<string, Scope>;
}

const MARKER = /\{\{|\{%|\{#/;
const REFERENCE = /\{\{\s*([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)\s*\}\}/g;

/**
 * @param defaults variables that can be referred to though nobody has set them.
 * @returns the same layers with every template rendered, to a fixed point.
 * @throws InvalidInputError when a template fails or names an unknown variable
 */
export async function renderTemplates(
  defaults: Record<string, unknown>,
  scopes: Scopes,
  signal?: AbortSignal,
): Promise<Scopes> {
  // Most builds have none; to know the variables that every image sees is work.
  if (!hasMarker(scopes)) return scopes;
  const rootfsVariables = visibleVariables(defaults, scopes.rootfs);
  const work = [
    { scope: scopes.rootfs, variables: rootfsVariables },
    ...Object.values(scopes.qcows).map((scope) => ({
      scope,
      variables: visibleVariables(rootfsVariables, scope),
    })),
  ];
  const simple = work.map(({ scope, variables }) => ({
    variables: substitute(variables, variables, []) as Record<string, unknown>,
    scope: mapScope(scope, (value) => substitute(value, variables, [])),
  }));
  const rendered = simple.some(({ scope }) => hasMarker(scope))
    ? await (await import('./ansible-templates.ts')).renderByAnsible(simple, signal)
    : simple.map(({ scope }) => scope);
  const [rootfs = {}, ...rest] = rendered;
  return {
    rootfs,
    qcows: Object.fromEntries(Object.keys(scopes.qcows).map((name, index) => [name, rest[index] ?? {}])),
  };
}

const visibleVariables = (below: Record<string, unknown>, scope: Scope) =>
  withSynonyms(mergeLayers([{ values: below }, ...Object.values(scope).flat()]));

const withSynonyms = (variables: Record<string, unknown>) => ({
  ...variables,
  ubuntu_packages: variables.packages,
});

const mapScope = (scope: Scope, map: (values: unknown) => unknown): Scope =>
  Object.fromEntries(
    Object.entries(scope).map(([role, layers]) => [
      role,
      layers.map((layer) => ({ ...layer, values: map(layer.values) as Record<string, unknown> })),
    ]),
  );

/** Whether any text in `value` is still a template. */
export function hasMarker(value: unknown): boolean {
  if (typeof value === 'string') return MARKER.test(value);
  return typeof value === 'object' && value !== null && Object.values(value).some(hasMarker);
}

/** `value` with the references replaced that lead to text, a number, or (alone in their text) a list. */
function substitute(value: unknown, variables: Record<string, unknown>, path: readonly string[]): unknown {
  if (Array.isArray(value)) return value.map((item) => substitute(item, variables, path));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(
      Object.entries(value).map(([name, item]) => [name, substitute(item, variables, path)]),
    );
  }
  if (typeof value !== 'string' || !MARKER.test(value)) return value;
  const alone = /^\s*\{\{\s*([\w.]+)\s*\}\}\s*$/.exec(value)?.[1];
  if (alone !== undefined) {
    const target = follow(alone, variables, path);
    if (typeof target === 'string' || typeof target === 'number' || Array.isArray(target)) return target;
  }
  // A text with a statement, a comment or a filter is rendered as a whole, by Ansible.
  if (MARKER.test(value.replace(REFERENCE, ''))) return value;
  return value.replace(REFERENCE, (reference, name: string) => {
    const target = follow(name, variables, path);
    return typeof target === 'string' || typeof target === 'number' ? String(target) : reference;
  });
}

/** The rendered value of a variable; undefined when it is unknown or refers to itself. */
function follow(name: string, variables: Record<string, unknown>, path: readonly string[]): unknown {
  if (path.includes(name)) return undefined;
  const value = name
    .split('.')
    .reduce<unknown>((inner, key) => (inner as Record<string, unknown> | undefined | null)?.[key], variables);
  return value === undefined ? undefined : substitute(value, variables, [...path, name]);
}

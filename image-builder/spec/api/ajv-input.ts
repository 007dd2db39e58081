// What Ajv compiles the validator from; the same in the source tree and for the bundled executables.
import type { Options } from 'ajv';
import { ImageBuilder } from './schema/image-builder.ts';

/** All findings at once, each with the schema and the value that it is about. */
export const ajvOptions: Options = {
  allErrors: true,
  verbose: true,
  strict: true,
  allowUnionTypes: true,
  // A reference becomes a function of its own: the generated code is a fifth of what inlining makes of it.
  inlineRefs: false,
};

type Schema = Record<string, unknown>;

/**
 * The schema with every object that occurs more than once (units, files, users, all variables of osconfig, ...) defined
 * once and referred to.
 */
export function ajvSchema(): Schema {
  const root: Schema = JSON.parse(JSON.stringify(ImageBuilder));
  const occurrences = new Map<string, number>();
  visitObjects(root, (schema) => {
    const text = JSON.stringify(schema);
    occurrences.set(text, (occurrences.get(text) ?? 0) + 1);
    return schema;
  });
  const definitions = new Map<string, { name: string; schema: Schema }>();
  const shared = visitObjects(root, (schema, original) => {
    const text = JSON.stringify(original);
    if ((occurrences.get(text) ?? 0) < 2) return schema;
    const known = definitions.get(text) ?? { name: `shared${definitions.size}`, schema };
    definitions.set(text, known);
    return { $ref: `#/$defs/${known.name}` };
  });
  const $defs = Object.fromEntries([...definitions.values()].map(({ name, schema }) => [name, schema]));
  return { ...shared, $defs };
}

/** Replaces each schema of an object with named properties, the innermost first. */
function visitObjects(value: Schema, replace: (schema: Schema, original: Schema) => Schema): Schema {
  const visit = (node: unknown): unknown => {
    if (Array.isArray(node)) return node.map(visit);
    if (typeof node !== 'object' || node === null) return node;
    const original = node as Schema;
    const visited = Object.fromEntries(Object.entries(original).map(([key, child]) => [key, visit(child)]));
    const isObject = original.type === 'object' && typeof original.properties === 'object';
    return isObject ? replace(visited, original) : visited;
  };
  return visit(value) as Schema;
}

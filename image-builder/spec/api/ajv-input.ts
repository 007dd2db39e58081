// What Ajv compiles the validators from; the same in the source tree and for the bundled executables.
import type { Options } from 'ajv';
import { ImageBuilder } from './schema/image-builder.ts';

/** What one validator is compiled from. */
interface AjvInput {
  options: Options;
  schema: () => Schema;
}

const COMMON: Options = {
  strict: true,
  allowUnionTypes: true,
  // A reference becomes a function of its own: the generated code is a fifth of what inlining makes of it.
  inlineRefs: false,
};

/** For a validator that only says whether a value fits. */
export const CHECK: AjvInput = {
  options: { ...COMMON, allErrors: false, messages: false },
  schema: () => withoutDescriptions(withDefinitions()) as Schema,
};

/** For one that finds all errors at once, each with the schema and the value that it is about. */
export const FIND_ERRORS: AjvInput = {
  options: { ...COMMON, allErrors: true, verbose: true },
  schema: withDefinitions,
};

type Schema = Record<string, unknown>;

/**
 * The schema with every object (the build, a unit, a file, a user, all variables of osconfig, ...) defined once and
 * referred to. JavaScript engines compile a function when it is first called: of the validator, a render that reads a
 * bundle needs a small part.
 */
function withDefinitions(): Schema {
  const root: Schema = JSON.parse(JSON.stringify(ImageBuilder));
  const occurrences = new Map<string, number>();
  visitObjects(root, (schema) => {
    const text = JSON.stringify(schema);
    occurrences.set(text, (occurrences.get(text) ?? 0) + 1);
    return schema;
  });
  const definitions = new Map<string, { name: string; schema: Schema }>();
  const referring = visitObjects(root, (schema, original, isAlternative) => {
    const text = JSON.stringify(original);
    // What is wrong with an alternative is told by its place in the schema (schema-errors.ts), so it stays there.
    if (text === JSON.stringify(root) || (isAlternative && occurrences.get(text) === 1)) return schema;
    const known = definitions.get(text) ?? { name: `object${definitions.size}`, schema };
    definitions.set(text, known);
    return { $ref: `#/$defs/${known.name}` };
  });
  const $defs = Object.fromEntries([...definitions.values()].map(({ name, schema }) => [name, schema]));
  return { ...referring, $defs };
}

/** Replaces each schema of an object with named properties, the innermost first. */
function visitObjects(
  value: Schema,
  replace: (schema: Schema, original: Schema, isAlternative: boolean) => Schema,
): Schema {
  const visit = (node: unknown, isAlternative: boolean): unknown => {
    if (Array.isArray(node)) return node.map((item) => visit(item, isAlternative));
    if (typeof node !== 'object' || node === null) return node;
    const original = node as Schema;
    const visited = Object.fromEntries(
      Object.entries(original).map(([key, child]) => [key, visit(child, key === 'anyOf')]),
    );
    const isObject = original.type === 'object' && typeof original.properties === 'object';
    return isObject ? replace(visited, original, isAlternative) : visited;
  };
  return visit(value, false) as Schema;
}

function withoutDescriptions(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutDescriptions);
  if (typeof value !== 'object' || value === null) return value;
  // A property of this name has a schema, which is no text.
  const kept = Object.entries(value).filter(
    ([key, child]) => key !== 'description' || typeof child !== 'string',
  );
  return Object.fromEntries(kept.map(([key, child]) => [key, withoutDescriptions(child)]));
}

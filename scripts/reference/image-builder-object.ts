// docs/reference/image-builder-object.md, from the JSON Schema.
import { imageBuilderSchema } from '../../image-builder/embedded/schema.ts';

/** The keywords of JSON Schema that the API uses. */
interface Schema {
  type?: string | string[];
  description?: string;
  default?: unknown;
  const?: unknown;
  enum?: unknown[];
  anyOf?: Schema[];
  pattern?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  patternProperties?: Record<string, Schema>;
  additionalProperties?: Schema | boolean;
  items?: Schema;
}

/** One row of a table. */
interface Field {
  path: string;
  type: string;
  description: string;
}

/** Markdown of every field of the ImageBuilder object, in one table for each of {@link SECTIONS}. */
export function objectReference(): string {
  const { spec } = (imageBuilderSchema as Schema).properties ?? {};
  const fields = spec ? walk('spec', spec) : [];
  const sections = new Map<string, Field[]>();
  for (const field of fields) {
    const section = sectionOf(field.path);
    sections.set(section, [...(sections.get(section) ?? []), field]);
  }
  return [
    '# The ImageBuilder object',
    'Every field of `spec`, generated from the JSON Schema (`image-builder schema` prints it for editors). A field that ends in `[]` is an item of a list, `<name>` is a name of your choice, and *required* applies within the enclosing object. [Variables](variables.md) explains what the variables do, and their defaults.',
    ...[...sections].flatMap(([title, rows]) => [`## ${title}`, table(rows)]),
  ].join('\n\n');
}

/** The longest of these that a path begins with gives it its table. */
const SECTIONS = [
  ...['spec.bundle', 'spec.build', 'spec.build.rootfs.multistrap', 'spec.build.rootfs.osconfig'],
  ...['spec.build.rootfs.livecdcontent', 'spec.build.qcows.<name>.qcow'],
];

function sectionOf(path: string): string {
  const fitting = SECTIONS.filter((section) => path === section || path.startsWith(`${section}.`));
  return fitting.at(-1) ?? 'spec';
}

function walk(path: string, schema: Schema): Field[] {
  // The variables of a QCOW are those of the root file system.
  if (path === 'spec.build.qcows.<name>.osconfig') {
    return [{ path, type: 'object', description: 'As `spec.build.rootfs.osconfig`, for this image.' }];
  }
  const here = SECTIONS.includes(path) || path === 'spec' ? [] : [describe(path, schema)];
  return [...here, ...children(path, schema)];
}

function children(path: string, schema: Schema): Field[] {
  const { properties = {}, patternProperties = {}, additionalProperties, items, required = [] } = schema;
  const named = Object.entries(properties).flatMap(([name, child]) => {
    const [first, ...rest] = walk(`${path}.${name}`, child);
    if (!first) return [];
    return required.includes(name) && first.path === `${path}.${name}`
      ? [{ ...first, type: `${first.type}, *required*` }, ...rest]
      : [first, ...rest];
  });
  const free = [
    ...Object.values(patternProperties),
    ...(typeof additionalProperties === 'object' ? [additionalProperties] : []),
  ].flatMap((child) => walk(`${path}.<name>`, child));
  const listed = items ? children(`${path}[]`, items) : [];
  const alternatives = (schema.anyOf ?? []).flatMap((child) => children(path, child));
  return [...named, ...free, ...listed, ...alternatives];
}

function describe(path: string, schema: Schema): Field {
  const fallback = schema.default === undefined ? '' : ` Default: \`${JSON.stringify(schema.default)}\`.`;
  return { path, type: typeOf(schema), description: `${schema.description ?? ''}${fallback}`.trim() };
}

function typeOf(schema: Schema): string {
  const { type, items, anyOf, enum: values } = schema;
  if (schema.const !== undefined) return `\`${String(schema.const)}\``;
  // Variables accept every spelling of a boolean in YAML 1.1.
  if (values?.includes(true)) return 'boolean, in any spelling of YAML 1.1';
  if (values) return values.map((value) => `\`${String(value)}\``).join(' or ');
  if (anyOf) return [...new Set(anyOf.map(typeOf))].join(' or ');
  if (type === 'array') return items?.type === 'object' || !items ? 'list' : `list of ${typeOf(items)}`;
  return [type ?? 'any'].flat().join(' or ');
}

const cell = (text: string): string =>
  text.replaceAll('|', '\\|').replaceAll('<', '&lt;').replaceAll('\n', ' ');

const table = (rows: readonly Field[]): string =>
  [
    '| field | type | |',
    '| --- | --- | --- |',
    ...rows.map(({ path, type, description }) => `| \`${path}\` | ${cell(type)} | ${cell(description)} |`),
  ].join('\n');

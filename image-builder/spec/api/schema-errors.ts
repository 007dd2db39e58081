// Turns the errors of Ajv into findings for people.
import type { ErrorObject } from 'ajv';
import type { Finding } from '../../base/diagnostics/error.ts';
import { type FieldPath, formatFieldPath, pathOfPointer } from '../../base/diagnostics/field-path.ts';
import { insteadOf } from './not-taken.ts';
import { patternInWords } from './pattern-words.ts';
import { similarName } from './similar.ts';

/** The part of a JSON Schema that the messages are made of. */
interface Schema {
  /** Leads to an object (ajv-input.ts). */
  $ref?: string;
  type?: string | string[];
  const?: unknown;
  enum?: unknown[];
  anyOf?: Schema[];
  pattern?: string;
  description?: string;
  properties?: Record<string, Schema>;
  patternProperties?: Record<string, Schema>;
}

/** One finding for each field that is wrong, in the order of Ajv. */
export function describeErrors(errors: readonly ErrorObject[], root: unknown): Finding[] {
  const unions = errors.filter(({ keyword }) => keyword === 'anyOf');
  const isBranch = (error: ErrorObject) =>
    unions.some(
      (union) =>
        union.instancePath === error.instancePath && error.schemaPath.startsWith(`${union.schemaPath}/`),
    );
  const findings = new Map<string, Finding>();
  for (const error of errors) {
    // What is wrong with each branch of a union only repeats what the union as a whole says.
    if (isBranch(error)) continue;
    const finding = describeError(error, root);
    const key = `${finding.field}`;
    if (!findings.has(key)) findings.set(key, finding);
  }
  return [...findings.values()];
}

function describeError(error: ErrorObject, root: unknown): Finding {
  const path = pathOfPointer(error.instancePath, root);
  const schema = error.parentSchema as Schema;
  switch (error.keyword) {
    case 'additionalProperties': {
      const name = String(error.params.additionalProperty);
      return finding([...path, name], describeUnknown(name, schema));
    }
    case 'required': {
      const name = String(error.params.missingProperty);
      const expected = schema.properties?.[name];
      return finding([...path, name], `is missing${expected ? `, expected ${expectation(expected)}` : ''}`);
    }
    case 'minItems':
      return finding(path, `has ${lengthOf(error.data)} items, expected at least ${error.params.limit}`);
    case 'minLength':
      return finding(path, 'is empty, expected some text');
    case 'minimum':
      return finding(path, `is ${describeValue(error.data, path)}, expected ${error.params.limit} or more`);
    default:
      return finding(
        path,
        `is ${describeValue(error.data, path)}, expected ${expectation(schema)}${advice(error)}`,
      );
  }
}

function describeUnknown(name: string, { properties = {}, patternProperties }: Schema): string {
  const [pattern] = Object.keys(patternProperties ?? {});
  if (pattern !== undefined)
    return `is not a valid name, expected ${patternInWords(pattern) ?? `one that matches ${pattern}`}`;
  const instead = insteadOf(name);
  if (instead !== undefined) return `is not supported: ${instead}`;
  const known = Object.keys(properties);
  const similar = similarName(name, known);
  if (similar !== undefined) return `unknown field; did you mean ${similar}?`;
  return `unknown field; expected one of: ${known.join(', ') || 'none'}`;
}

/** What a schema expects, as the object of a sentence. */
function expectation(schema: Schema): string {
  const choices = schema.enum ?? (schema.const === undefined ? choicesOf(schema.anyOf) : [schema.const]);
  if (choices) {
    const names = withoutSpellings(choices.map(String));
    return `${names.length > 1 ? 'one of ' : ''}${names.join(', ')}`;
  }
  const types = [schema.type ?? (schema.$ref === undefined ? [] : 'object')].flat();
  if (schema.pattern === undefined) return types.map(nameOfType).join(' or ') || 'something else';
  const words = patternInWords(schema.pattern);
  const others = types.filter((type) => type !== 'string').map(nameOfType);
  if (words !== undefined) return [words, ...others].join(' or ');
  const description = schema.description ? ` (${schema.description.replace(/\.$/, '')})` : '';
  return `${types.map(nameOfType).join(' or ')} that matches ${schema.pattern}${description}`;
}

const nameOfType = (type: string) => TYPE_NAMES[type] ?? type;

/** Each choice as it is written first; `Yes` and `YES` are other spellings of `yes`. */
const withoutSpellings = (names: readonly string[]): string[] =>
  names.filter((name, index) => {
    const lower = name.toLowerCase();
    return names.indexOf(name) === index && (lower === name || !names.includes(lower));
  });

function choicesOf(branches: Schema[] | undefined): unknown[] | undefined {
  const constants = branches?.map((branch) => branch.const);
  return constants?.every((value) => value !== undefined) ? constants : undefined;
}

const TYPE_NAMES: Record<string, string> = {
  string: 'a string',
  number: 'a number',
  integer: 'an integer',
  boolean: 'true or false',
  object: 'an object',
  array: 'a list',
  null: 'null',
};

/** What is easily done about a wrong type. */
function advice({ keyword, data, parentSchema }: ErrorObject): string {
  if (keyword !== 'type') return '';
  const { type = [], pattern, enum: choices } = parentSchema as Schema;
  const types = [type].flat();
  if (data === null && types.includes('array')) return '; write [] for none, or omit it for the default';
  // YAML has turned text into something else; the user can only see it in the source.
  const isScalar = typeof data === 'number' || typeof data === 'boolean';
  if (!isScalar || !types.includes('string')) return '';
  const fits = pattern ? new RegExp(pattern, 'u').test(String(data)) : choices === undefined;
  return fits ? '; put the value in quotes' : '';
}

/** Fields whose values never show up in a message. */
const SECRET_FIELD =
  /pass|secret|token|credential|private|content|user_?data|network_?data|meta_?data$|authorized_keys|^keyring$/i;
/** Credentials in a URL. */
const SECRET_TEXT = /:\/\/[^/\s]*@/;
const LONGEST_VALUE = 80;

/** What was met: the value of a scalar, the kind of everything else. */
function describeValue(value: unknown, path: FieldPath): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'an object';
  const isSecret = path.slice(1).some((segment) => SECRET_FIELD.test(String(segment)));
  const kind = TYPE_NAMES[typeof value === 'boolean' ? 'string' : typeof value] ?? typeof value;
  if (isSecret || SECRET_TEXT.test(String(value))) return typeof value === 'boolean' ? 'a boolean' : kind;
  if (typeof value !== 'string') return `the ${typeof value} ${value}`;
  return JSON.stringify(value.length > LONGEST_VALUE ? `${value.slice(0, LONGEST_VALUE)}...` : value);
}

function lengthOf(value: unknown): number {
  return Array.isArray(value) ? value.length : 0;
}

function finding(path: FieldPath, message: string): Finding {
  const field = formatFieldPath(path);
  return { severity: 'error', message, ...(field && { field }) };
}

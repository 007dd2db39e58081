// Validates an ImageBuilder object: every finding at once, each with the exact path, what was met, what was expected.
import { posix } from 'node:path';
import type { ErrorObject } from 'ajv';
import { type Finding, InvalidInputError } from '../../base/diagnostics/error.ts';
import { type FieldPath, formatFieldPath, pathOfPointer } from '../../base/diagnostics/field-path.ts';
import { isRecord } from '../../base/record.ts';
import { withNumbersAsWritten } from './exact-numbers.ts';
import { fitsSchema } from './fits-schema.ts';
import { isTemplate } from './template.ts';
import type { BundleSpec, ImageBuilder } from './types.ts';

/**
 * Returns `given` as an ImageBuilder object; a number that JavaScript would change becomes its text. A variable that is
 * still a template fits any type: what it is rendered to is checked by {@link parseRendered}.
 * @throws InvalidInputError with every finding, paths from the root of the object: `spec.build.qcows...`
 */
export async function parseImageBuilder(given: unknown): Promise<ImageBuilder> {
  // Data of cloud-init are written with the digits that they have, not as text.
  const value = withNumbersAsWritten(given, ['spec', 'build', 'iso']);
  const errors = await schemaErrors(value);
  return parse(
    value,
    errors.filter((error) => !isTemplateOfVariable(error)),
  );
}

/** As {@link parseImageBuilder}, when no template is left: what looks like one is meant as it stands. */
export async function parseRendered(value: unknown): Promise<ImageBuilder> {
  return parse(value, await schemaErrors(value));
}

/** The fields that nobody knows. */
export async function unknownFields(value: unknown): Promise<FieldPath[]> {
  return (await schemaErrors(value))
    .filter(({ keyword }) => keyword === 'additionalProperties')
    .map(({ instancePath, params }) => [
      ...pathOfPointer(instancePath, value),
      String(params.additionalProperty),
    ]);
}

/** Most objects are valid: the large validator, which can tell what is wrong, is for the others. */
async function schemaErrors(value: unknown): Promise<ErrorObject[]> {
  if (fitsSchema(value)) return [];
  const { findSchemaErrors } = await import('./find-schema-errors.ts');
  findSchemaErrors(value);
  return findSchemaErrors.errors ?? [];
}

/** The values of variables: those that are rendered before they are used. */
const VARIABLE = /^\/spec\/build\/(kubernetes|rootfs\/[^/]+|qcows\/[^/]+\/[^/]+)\/./;

const isTemplateOfVariable = ({ instancePath, data }: ErrorObject) =>
  typeof data === 'string' && isTemplate(data) && VARIABLE.test(instancePath);

async function parse(value: unknown, errors: readonly ErrorObject[]): Promise<ImageBuilder> {
  const findings =
    errors.length > 0 ? (await import('./schema-errors.ts')).describeErrors(errors, value) : [];
  const spec = isRecord(value) && isRecord(value.spec) ? value.spec : undefined;
  if (spec) {
    findings.push(...checkUnion(spec), ...checkBundle(spec.bundle, ['spec', 'bundle']));
    for (const [name, bundle] of Object.entries(isRecord(spec.bundles) ? spec.bundles : {}))
      findings.push(...checkBundle(bundle, ['spec', 'bundles', name]));
    findings.push(...checkPublishing(spec.build));
  }
  if (findings.length > 0) throw new InvalidInputError(findings);
  return value as ImageBuilder;
}

/** Exactly one of `bundle`, `bundles`, `build` and `items`; JSON Schema could say so too, but not in a sentence. */
function checkUnion(spec: Record<string, unknown>): Finding[] {
  const present = ['bundle', 'bundles', 'build', 'items'].filter((name) => spec[name] !== undefined);
  if (present.length === 1) return [];
  const met =
    present.length === 0 ? 'has none of bundle, bundles, build and items' : `has ${present.join(' and ')}`;
  const expected =
    'expected exactly one: bundle reads a bundle, bundles reads many, build builds one, items does what the ImageBuilder objects among the items say';
  return [invalid(['spec'], `${met}, ${expected}`)];
}

/** What is pushed needs a place. */
function checkPublishing(build: unknown): Finding[] {
  const bundle = isRecord(build) && isRecord(build.bundle) ? build.bundle : {};
  if (bundle.repository !== undefined) return [];
  return (['push', 'disks'] as const)
    .filter((name) => bundle[name] === true)
    .map((name) => invalid(['spec', 'build', 'bundle', name], 'needs spec.build.bundle.repository'));
}

/** Profiles of a bundle stay below /profiles, and no two of them give the same catalogue. */
function checkBundle(bundle: unknown, path: FieldPath): Finding[] {
  const profiles = isRecord(bundle) && Array.isArray(bundle.profiles) ? bundle.profiles : [];
  const findings: Finding[] = [];
  const seen = new Map<string, number>();
  for (const [index, profile] of profiles.entries()) {
    if (!isRecord(profile) || typeof profile.path !== 'string') continue;
    const field = [...path, 'profiles', index];
    if (profile.path.startsWith('/profiles/') && !posix.normalize(profile.path).startsWith('/profiles/')) {
      findings.push(invalid([...field, 'path'], `${profile.path} is outside /profiles of the bundle`));
    }
    const name = catalogueName(profile as ProfileSelection);
    const first = seen.get(name);
    if (first === undefined) seen.set(name, index);
    else {
      const message = `gives the catalogue ${name}, like ${formatFieldPath([...path, 'profiles', first])}; set different names`;
      findings.push(invalid([...field, profile.name === undefined ? 'path' : 'name'], message));
    }
  }
  return findings;
}

type ProfileSelection = NonNullable<BundleSpec['profiles']>[number];

/** The name of the catalogue of a selected profile. */
export function catalogueName({ path, name }: ProfileSelection): string {
  return name ?? posix.basename(path, '.json');
}

function invalid(path: readonly (string | number)[], message: string): Finding {
  return { severity: 'error', field: formatFieldPath(path), message };
}

// What a profile says of itself in profiles/<name>/profile.yaml, beside its manifests.
import { dirname, join } from 'node:path';
import { invalidInput } from '../../base/diagnostics/error.ts';
import { readDocuments } from '../../base/yaml/read-documents.ts';
import type { SpecFiles } from '../../policy/spec-files.ts';

/** A profile as a build knows it. */
export interface ProfileFacts {
  name: string;
  /** Day (YYYY-MM-DD) after which nobody fixes what the profile installs any more. */
  endOfLife?: string;
}

const FILE = 'profile.yaml';

/**
 * @param manifests the directory `manifests` of the profile
 * @throws InvalidInputError when the file is not understood; without a file nothing but the name is known
 */
export async function readProfileFacts(
  name: string,
  manifests: string,
  source: SpecFiles,
): Promise<ProfileFacts> {
  const directory = dirname(manifests);
  if (!(await source.names(directory)).includes(FILE)) return { name };
  const file = join(directory, FILE);
  const where = { field: 'spec.build.profile', file };
  const { values, problems } = readDocuments(await source.readText(file));
  if (problems[0]) throw invalidInput(where, `is not valid YAML: ${problems[0]}`);
  const { endOfLife, ...unknown } = (values[0] ?? {}) as Record<string, unknown>;
  const [first] = Object.keys(unknown);
  if (first !== undefined) throw invalidInput(where, `has the unknown field ${first}, expected endOfLife`);
  if (endOfLife === undefined) return { name };
  if (typeof endOfLife !== 'string' || !isDay(endOfLife)) {
    throw invalidInput(where, 'endOfLife is not a date, expected for example 2027-10-28');
  }
  return { name, endOfLife };
}

function isDay(text: string): boolean {
  return /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(text));
}

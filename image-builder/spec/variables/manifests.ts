// Reads a directory of manifests as the predecessor has them, with a profile laid over it: a file of the profile
// replaces the file of the manifests with the same path.
import { dirname, join, relative } from 'node:path';
import { InvalidInputError, invalidInput } from '../../base/diagnostics/error.ts';
import { PathError } from '../../policy/paths.ts';
import type { SpecFiles } from '../../policy/spec-files.ts';
import type { BuildSpec } from '../api/types.ts';
import { type ProfileFacts, readProfileFacts } from './profile-facts.ts';
import type { ScriptFile } from './resolved-osconfig.ts';

/** The files that a build reads: the path inside the manifests → the file that counts. */
export interface Manifests {
  files: ReadonlyMap<string, string>;
  /** Beginning of the paths of the QCOWs' variable files: what follows is `<name>/<role>-vars.yaml`. */
  qcowPrefix: string;
  /** Reads them. */
  source: SpecFiles;
  /** What lies over them, when the spec names a profile. */
  profile?: ProfileFacts;
}

const FIELD = 'spec.build.manifests';

/**
 * @param objectName metadata.name of the object: without `qcowManifests`, the predecessor's qcow-bundle* directory of that
 *   name holds its QCOWs, else qcow-bundle.
 * @throws InvalidInputError when a directory that the spec names does not exist, may not be read, or is to hold QCOWs and
 *   does not.
 */
export async function findManifests(
  build: Pick<BuildSpec, 'manifests' | 'profile' | 'qcowManifests'>,
  objectName: string,
  source: SpecFiles,
): Promise<Manifests> {
  const { manifests, profile } = build;
  const files = new Map<string, string>();
  let facts: ProfileFacts | undefined;
  if (manifests !== undefined) {
    const directory = source.resolve(manifests);
    const isDirectory = await atField(FIELD, () => source.isDirectory(directory));
    if (!isDirectory) throw invalidInput(FIELD, `${directory} is not a directory`);
    for (const [name, path] of await atField(FIELD, () => source.list(directory))) files.set(name, path);
  }
  if (profile !== undefined) {
    const field = 'spec.build.profile';
    const directory = await atField(field, () => findProfile(profile, manifests, source));
    for (const [name, path] of await atField(field, () => source.list(directory))) files.set(name, path);
    facts = await atField(field, () => readProfileFacts(profile, directory, source));
  }
  const qcowPrefix = await atField(QCOW_FIELD, () => findQcows(build, objectName, files, source));
  return { files, qcowPrefix, source, ...(facts && { profile: facts }) };
}

/** The prefix of the QCOWs' files, which are added where they are no part of the manifests. */
async function findQcows(
  { manifests, qcowManifests }: Pick<BuildSpec, 'manifests' | 'qcowManifests'>,
  objectName: string,
  files: Map<string, string>,
  source: SpecFiles,
): Promise<string> {
  if (qcowManifests === undefined) return `${usualBundle(files, objectName)}/`;
  const parent = manifests === undefined ? undefined : source.resolve(manifests);
  return await collectQcows(source.resolve(qcowManifests), parent, files, source);
}

/** The directory for QCOWs of the manifests when the object does not say. */
function usualBundle(files: ReadonlyMap<string, string>, objectName: string): string {
  const names = new Set([...files.keys()].map((path) => path.split('/')[0] ?? ''));
  return objectName.startsWith('qcow-bundle') && names.has(objectName) ? objectName : 'qcow-bundle';
}

const QCOW_FIELD = 'spec.build.qcowManifests';

/**
 * Adds the QCOWs of a directory of any name, anywhere. A profile is only laid over directories of the manifests.
 * @returns the prefix of their files
 */
async function collectQcows(
  directory: string,
  manifests: string | undefined,
  files: Map<string, string>,
  source: SpecFiles,
): Promise<string> {
  const inside = manifests === undefined ? '..' : relative(manifests, directory);
  const isInside = inside !== '' && inside.split('/')[0] !== '..';
  const prefix = `${isInside ? inside : directory}/`;
  const exists = await source.isDirectory(directory);
  if (!isInside && exists)
    for (const [name, path] of await source.list(directory)) files.set(`${prefix}${name}`, path);
  const names = exists ? await subdirectories(directory, source) : [];
  const qcows = qcowNames({ files, qcowPrefix: prefix });
  if (names.length === 0 && qcows.length === 0) {
    const what = exists ? 'has no directory with the variables of a QCOW' : 'is not a directory';
    const expected = 'expected <name>/qcow-vars.yaml or <name>/osconfig-vars.yaml';
    throw invalidInput(QCOW_FIELD, `${directory} ${what}, ${expected}`);
  }
  const without = names.filter((name) => !qcows.includes(name));
  if (without.length > 0) {
    const message = `is in ${directory} and has neither qcow-vars.yaml nor osconfig-vars.yaml`;
    throw new InvalidInputError(
      without.map((name) => ({ severity: 'error', field: QCOW_FIELD, message: `${name} ${message}` })),
    );
  }
  return prefix;
}

async function subdirectories(directory: string, source: SpecFiles): Promise<string[]> {
  const names = (await source.names(directory)).filter((name) => !name.startsWith('.')).sort();
  const areDirectories = await Promise.all(names.map((name) => source.isDirectory(join(directory, name))));
  return names.filter((_, index) => areDirectories[index]);
}

/**
 * profiles/ is looked for in the working directory, beside the manifests, and beside the directory that they are in, where
 * the predecessor has it.
 */
async function findProfile(name: string, manifests: string | undefined, source: SpecFiles): Promise<string> {
  const beside = manifests === undefined ? [] : [dirname(source.resolve(manifests))];
  const parents = [source.resolve('.'), ...beside, ...beside.map(dirname)];
  const directories = [...new Set(parents.map((parent) => join(parent, 'profiles')))];
  let refusal: unknown;
  for (const directory of directories) {
    const candidate = join(directory, name, 'manifests');
    // Beside manifests that may be read is a place that may not be.
    const isThere = await source.isDirectory(candidate).catch((error) => {
      refusal ??= error;
      return false;
    });
    if (isThere) return candidate;
  }
  const lists = await Promise.all(directories.map((directory) => source.names(directory).catch(() => [])));
  const names = lists.flat();
  const known =
    names.length > 0
      ? `; available: ${[...new Set(names)].sort().join(', ')}`
      : "; copy it there, for example from Image Builder's directory profiles";
  if (refusal !== undefined && (names.length === 0 || names.includes(name))) throw refusal;
  throw invalidInput(
    'spec.build.profile',
    `no directory ${name}/manifests in ${directories.join(' or ')}${known}`,
  );
}

/** Text of a manifest, or undefined when there is none. @throws InvalidInputError when it may not be read */
export async function readManifest({ files, source }: Manifests, name: string): Promise<string | undefined> {
  const path = files.get(name);
  return path === undefined ? undefined : await atField(FIELD, () => source.readText(path));
}

/** Names of the QCOWs that have variable files, sorted. */
export function qcowNames({ files, qcowPrefix }: Pick<Manifests, 'files' | 'qcowPrefix'>): string[] {
  const names = [...files.keys()]
    .filter((path) => path.startsWith(qcowPrefix))
    .map((path) => path.slice(qcowPrefix.length).split('/'))
    .filter(([, file, ...deeper]) => deeper.length === 0 && /^(osconfig|qcow)-vars\.yaml$/.test(file ?? ''))
    .map(([name = '']) => name);
  return [...new Set(names)].sort();
}

/** The scripts of scripts/`context`, in the order of their names by code unit; README.md is not one. */
export async function readScripts(manifests: Manifests, context: 'common' | 'qcow'): Promise<ScriptFile[]> {
  const directory = `scripts/${context}/`;
  const names = [...manifests.files.keys()]
    .filter((path) => path.startsWith(directory))
    .map((path) => path.slice(directory.length))
    .filter((name) => !name.includes('/') && name !== 'README.md')
    .sort();
  return Promise.all(
    names.map(async (name) => ({
      name,
      content: (await readManifest(manifests, `${directory}${name}`)) ?? '',
    })),
  );
}

/** What a path is refused for, as a finding about the field that has named it. */
async function atField<Result>(field: string, step: () => Promise<Result>): Promise<Result> {
  try {
    return await step();
  } catch (error) {
    throw error instanceof PathError ? error.at(field) : error;
  }
}

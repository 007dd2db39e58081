// Reads a directory of manifests as the predecessor has them, with a profile laid over it: a file of the profile
// replaces the file of the manifests with the same path.
import { dirname, join } from 'node:path';
import { InvalidInputError } from '../diagnostics/error.ts';
import { PathError } from '../policy/paths.ts';
import type { SpecFiles } from '../policy/spec-files.ts';
import type { BuildSpec } from '../spec/types.ts';
import { type ProfileFacts, readProfileFacts } from './profile-facts.ts';
import type { ScriptFile } from './types.ts';

/** The files that a build reads: the path inside the manifests → the file that counts. */
export interface Manifests {
  files: ReadonlyMap<string, string>;
  /** Reads them. */
  source: SpecFiles;
  /** What lies over them, when the spec names a profile. */
  profile?: ProfileFacts;
}

const FIELD = 'spec.build.manifests';

/**
 * @throws InvalidInputError when a directory that the spec names does not exist, or may not be read.
 */
export async function findManifests(
  build: Pick<BuildSpec, 'manifests' | 'profile'>,
  source: SpecFiles,
): Promise<Manifests> {
  const { manifests, profile } = build;
  const files = new Map<string, string>();
  if (manifests !== undefined) {
    const directory = source.resolve(manifests);
    const isDirectory = await atField(FIELD, () => source.isDirectory(directory));
    if (!isDirectory) throw invalid(FIELD, `${directory} is not a directory`);
    for (const [name, path] of await atField(FIELD, () => source.list(directory))) files.set(name, path);
  }
  if (profile !== undefined) {
    const field = 'spec.build.profile';
    const directory = await atField(field, () => findProfile(profile, manifests, source));
    for (const [name, path] of await atField(field, () => source.list(directory))) files.set(name, path);
    const facts = await atField(field, () => readProfileFacts(profile, directory, source));
    return { files, source, profile: facts };
  }
  return { files, source };
}

/** profiles/ is looked for in the working directory and beside the manifests. */
async function findProfile(name: string, manifests: string | undefined, source: SpecFiles): Promise<string> {
  const parents = [
    source.resolve('.'),
    ...(manifests === undefined ? [] : [dirname(source.resolve(manifests))]),
  ];
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
  const known = names.length > 0 ? `; there are ${[...new Set(names)].sort().join(', ')}` : '';
  if (refusal !== undefined && (names.length === 0 || names.includes(name))) throw refusal;
  throw invalid(
    'spec.build.profile',
    `no directory ${name}/manifests in ${directories.join(' or ')}${known}`,
  );
}

/** Text of a manifest, or undefined when there is none. @throws InvalidInputError when it may not be read */
export async function readManifest({ files, source }: Manifests, name: string): Promise<string | undefined> {
  const path = files.get(name);
  return path === undefined ? undefined : await atField(FIELD, () => source.readText(path));
}

/**
 * The directory with one subdirectory for each QCOW of the bundle: the one that is named like the object (the
 * predecessor makes a bundle of each qcow-bundle* directory), otherwise qcow-bundle.
 */
export function qcowBundleDirectory({ files }: Manifests, objectName: string): string {
  const names = new Set([...files.keys()].map((path) => path.split('/')[0] ?? ''));
  return objectName.startsWith('qcow-bundle') && names.has(objectName) ? objectName : 'qcow-bundle';
}

/** Names of the QCOWs that have variable files below `directory`, sorted. */
export function qcowNames({ files }: Manifests, directory: string): string[] {
  const names = [...files.keys()].flatMap((path) => {
    const [top, name, file] = path.split('/');
    return top === directory && name !== undefined && /^(osconfig|qcow)-vars\.yaml$/.test(file ?? '')
      ? [name]
      : [];
  });
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

function invalid(field: string, message: string): InvalidInputError {
  return new InvalidInputError([{ severity: 'error', field, message }]);
}

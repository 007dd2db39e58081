// Reads a directory of manifests as the predecessor has them, with a profile laid over it: a file of the profile
// replaces the file of the manifests with the same path.
import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { InvalidInputError } from '../diagnostics/error.ts';
import type { BuildSpec } from '../spec/types.ts';
import type { ScriptFile } from './types.ts';

/** The files that a build reads: the path inside the manifests → the file that counts. */
export interface Manifests {
  files: ReadonlyMap<string, string>;
}

/**
 * @throws InvalidInputError when a directory that the spec names does not exist.
 */
export async function findManifests(
  build: Pick<BuildSpec, 'manifests' | 'profile'>,
  cwd: string,
): Promise<Manifests> {
  const files = new Map<string, string>();
  if (build.manifests !== undefined) {
    const directory = resolve(cwd, build.manifests);
    if (!(await isDirectory(directory)))
      throw invalid('spec.build.manifests', `${directory} is not a directory`);
    await collect(directory, '', files);
  }
  if (build.profile !== undefined) {
    await collect(await findProfile(build.profile, build.manifests, cwd), '', files);
  }
  return { files };
}

/** profiles/ is looked for in the working directory and beside the manifests. */
async function findProfile(name: string, manifests: string | undefined, cwd: string): Promise<string> {
  const parents = [cwd, ...(manifests === undefined ? [] : [dirname(resolve(cwd, manifests))])];
  const directories = [...new Set(parents.map((parent) => join(parent, 'profiles')))];
  for (const directory of directories) {
    const candidate = join(directory, name, 'manifests');
    if (await isDirectory(candidate)) return candidate;
  }
  const names = (
    await Promise.all(directories.map((directory) => readdir(directory).catch(() => [])))
  ).flat();
  const known = names.length > 0 ? `; there are ${[...new Set(names)].sort().join(', ')}` : '';
  throw invalid(
    'spec.build.profile',
    `no directory ${name}/manifests in ${directories.join(' or ')}${known}`,
  );
}

async function collect(directory: string, prefix: string, files: Map<string, string>): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    const name = `${prefix}${entry.name}`;
    const kind = entry.isSymbolicLink() ? await stat(path) : entry;
    if (kind.isDirectory()) await collect(path, `${name}/`, files);
    else if (kind.isFile()) files.set(name, path);
  }
}

const isDirectory = (path: string) =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );

/** Text of a manifest, or undefined when there is none. */
export async function readManifest({ files }: Manifests, name: string): Promise<string | undefined> {
  const path = files.get(name);
  return path === undefined ? undefined : readFile(path, 'utf8');
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

function invalid(field: string, message: string): InvalidInputError {
  return new InvalidInputError([{ severity: 'error', field, message }]);
}

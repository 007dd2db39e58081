// Reads what `build` is given: files and directories with any number of ImageBuilder objects.
import { readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Finding, findingsOf, InvalidInputError, invalidInput } from '../base/diagnostics/error.ts';
import type { Policy } from '../policy/policy.ts';
import { SpecFiles } from '../policy/spec-files.ts';
import { explainBy, explained } from './context.ts';
import { type BuildFile, isBuild, nameOf, readBuild, readDocumentsOf, theImageBuilder } from './spec-file.ts';

/** An object that is built, and what its file may name. */
export interface BuildOfFiles extends BuildFile {
  file: string;
  policy: Policy;
}

/** What reading them takes, beside their paths. */
export interface ReadManyOptions {
  cwd: string;
  /** The policy for the objects of a file. */
  policyOf(file: string): Promise<Policy>;
}

/**
 * The objects with `spec.build` in files, in directories (their *.yaml and *.yml, not those of directories below) and on
 * standard input (`-`). What else a directory or a file with several documents has is passed over.
 * @throws InvalidInputError with the findings of all of them: nothing is built of what is half wrong
 */
export async function readBuilds(
  paths: readonly string[],
  { cwd, policyOf }: ReadManyOptions,
): Promise<BuildOfFiles[]> {
  const builds: BuildOfFiles[] = [];
  const wrong: { object: string; findings: Finding[] }[] = [];
  for (const path of paths) {
    const files = await filesOf(path);
    const before = builds.length + wrong.length;
    for (const file of files ?? [path]) {
      const policy = await policyOf(file);
      // Nobody has named the files of a directory: they are regular files, and links lead to what may be read.
      const text = files && (await new SpecFiles(cwd, policy.read).readText(file));
      const documents = await readDocumentsOf(file, text);
      const indexes = [...documents.values.keys()].filter((index) => isBuild(documents.values[index]));
      // Of a file that was named, and has nothing to build, the reason is told.
      if (indexes.length === 0 && !files) indexes.push(theImageBuilder(documents.values, file));
      for (const index of indexes) {
        try {
          builds.push({ ...(await readBuild(documents, index, { cwd, policy })), file, policy });
        } catch (error) {
          if (!(error instanceof InvalidInputError)) throw error;
          const object = nameOf(documents.values[index]);
          wrong.push({ object, findings: findingsOf(error).map(explained) });
        }
      }
    }
    if (files && builds.length + wrong.length === before)
      throw invalidInput({ file: path }, 'has no *.yaml or *.yml with an ImageBuilder object that builds');
  }
  const isOne = builds.length + wrong.length === 1;
  const findings = [
    ...wrong.flatMap(({ object, findings }) =>
      findings.map((finding) => (isOne ? finding : { ...finding, object })),
    ),
    ...sameNames(builds),
    ...samePlaces(builds, cwd),
  ];
  // Findings about several objects show their lines already.
  if (!isOne || findings.length > 0) explainBy((finding) => finding);
  if (findings.length > 0) throw new InvalidInputError(findings);
  return builds;
}

/** The files of a directory that may have objects; undefined for anything that is no directory. */
async function filesOf(path: string): Promise<string[] | undefined> {
  if (path === '-' || !(await isDirectory(path))) return undefined;
  const names = (await readdir(path)).filter((name) => /\.ya?ml$/.test(name)).sort();
  return names.map((name) => join(path, name));
}

async function isDirectory(path: string): Promise<boolean> {
  // Whoever reads it tells why it cannot be read.
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
}

/** The store, the history and the summary know a build by its name. */
function sameNames(builds: readonly BuildOfFiles[]): Finding[] {
  return repeated(builds, ({ object }) => [object.metadata.name]).map(({ build, first }) => ({
    severity: 'error',
    field: 'metadata.name',
    file: shown(build.file),
    message: `is ${build.object.metadata.name}, like that of an object in ${shown(first.file)}; give each build a name of its own`,
  }));
}

/** Of two bundles in one place one would be lost. */
function samePlaces(builds: readonly BuildOfFiles[], cwd: string): Finding[] {
  const places = ({ resolved: { bundle } }: BuildOfFiles): string[] =>
    [
      bundle.repository !== undefined && `${bundle.repository}:${bundle.tag}`,
      bundle.archive !== undefined && resolve(cwd, bundle.archive),
      bundle.layout !== undefined && `${resolve(cwd, bundle.layout)}:${bundle.tag}`,
    ].filter((place) => place !== false);
  return repeated(builds, places).map(({ build, first, value }) => ({
    severity: 'error',
    field: 'spec.build.bundle',
    file: shown(build.file),
    message: `of ${build.object.metadata.name} goes to ${value}, where ${first.object.metadata.name} in ${shown(first.file)} goes; set another tag, archive or repository`,
  }));
}

/** A file as messages call it. */
const shown = (file: string): string => (file === '-' ? 'standard input' : file);

/** Builds with a value that one before them has. */
function repeated(
  builds: readonly BuildOfFiles[],
  valuesOf: (build: BuildOfFiles) => string[],
): { build: BuildOfFiles; first: BuildOfFiles; value: string }[] {
  const owners = new Map<string, BuildOfFiles>();
  return builds.flatMap((build) =>
    valuesOf(build).flatMap((value) => {
      const first = owners.get(value);
      if (first) return [{ build, first, value }];
      owners.set(value, build);
      return [];
    }),
  );
}

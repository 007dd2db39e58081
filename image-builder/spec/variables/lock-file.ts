// Lock files: the exact packages of a build, committed beside its spec. One file holds a section for each architecture.
import { Document, isMap, visit } from 'yaml';
import { invalidInput } from '../../base/diagnostics/error.ts';
import { readDocuments } from '../../base/yaml/read-documents.ts';
import { PathError } from '../../policy/paths.ts';
import type { SpecFiles } from '../../policy/spec-files.ts';
import { withNumbersAsWritten } from '../api/exact-numbers.ts';
import { MIRROR } from '../api/patterns.ts';
import { isPackageName, isPackageRequest } from './package-names.ts';
import type { LockedPackage, ResolvedLock } from './resolved-lock.ts';

/** Bumped when older programs would misunderstand a file. */
const FORMAT = 1;

const FIELD = 'spec.build.lock';

const HEADER = ` The exact packages of an image, written by \`image-builder lock\`. Commit this file; do not edit it.
 \`image-builder lock --check\` reports what has changed since, \`image-builder lock\` updates it.`;

type Architecture = 'amd64' | 'arm64';
type Section = Omit<ResolvedLock, 'packages'> & { packages: Record<string, Omit<LockedPackage, 'name'>> };

/** The content of a lock file. */
interface LockFile {
  version: typeof FORMAT;
  architectures: Partial<Record<Architecture, Section>>;
}

/**
 * The section of an architecture in the file that `spec.build.lock` names.
 * @returns undefined when it is not there and `lockIsOptional`
 * @throws InvalidInputError when it is not there, unreadable, or may not be read
 */
export async function readLock(
  path: string,
  architecture: Architecture,
  options: { files: SpecFiles; lockIsOptional?: boolean },
): Promise<ResolvedLock | undefined> {
  const file = await readLockFile(path, options.files);
  const section = file?.architectures[architecture];
  if (section !== undefined) return fromSection(section);
  if (options.lockIsOptional) return undefined;
  const met = file === undefined ? `${path} does not exist` : `${path} has no packages for ${architecture}`;
  throw invalidInput(FIELD, `${met}; create it with "image-builder lock"`);
}

/** The text of the file at `path` with one section replaced; that of other architectures stays. */
export async function renderLockFile(
  path: string,
  architecture: Architecture,
  lock: ResolvedLock,
  files: SpecFiles,
): Promise<string> {
  const others = (await readLockFile(path, files))?.architectures ?? {};
  return lockFileText({ ...others, [architecture]: toSection(lock) });
}

/** A lock file for one architecture. */
export function newLockFile(architecture: Architecture, lock: ResolvedLock): string {
  return lockFileText({ [architecture]: toSection(lock) });
}

function lockFileText(architectures: LockFile['architectures']): string {
  const sections = Object.entries(architectures);
  const document = new Document({
    version: FORMAT,
    architectures: Object.fromEntries(sections.sort(([a], [b]) => (a < b ? -1 : 1))),
  } satisfies LockFile);
  document.commentBefore = HEADER;
  // A package is a line, so that a diff names what has changed and nothing else.
  visit(document, {
    Map: (_, node) => {
      if (isMap(node) && node.has('sha256')) node.flow = true;
    },
  });
  return document.toString({ lineWidth: 0, flowCollectionPadding: false });
}

async function readLockFile(path: string, files: SpecFiles): Promise<LockFile | undefined> {
  let text: string;
  try {
    text = await files.readText(path);
  } catch (error) {
    if (!(error instanceof PathError)) throw error;
    if (error.code === 'PATH_MISSING') return undefined;
    throw error.at(FIELD);
  }
  const { values, problems } = readDocuments(text);
  if (problems[0]) throw invalidInput(FIELD, `${path} is not valid YAML: ${problems[0]}`);
  const value = withNumbersAsWritten(values[0]) as Partial<LockFile> | undefined;
  if (value?.version !== FORMAT) {
    throw invalidInput(FIELD, `${path} has version ${value?.version}, expected ${FORMAT}`);
  }
  for (const [name, section] of Object.entries(value.architectures ?? {})) checkSection(path, name, section);
  return { version: FORMAT, architectures: value.architectures ?? {} };
}

/** What a merge conflict or a careless edit can have broken; every value is checked before it reaches a tool. */
function checkSection(path: string, architecture: string, section: Section): void {
  const entries = Object.entries(section?.packages ?? {});
  const wrong = entries.find(([name, entry]) => !isLockedPackage(name, entry));
  const complete =
    typeof section?.sourceDateEpoch === 'number' &&
    isMirror(section.mirrors?.archive) &&
    (section.mirrors.security === undefined || isMirror(section.mirrors.security)) &&
    areAll(section.requested, isPackageRequest) &&
    areAll(section.unapproved, isPackageName) &&
    Object.values(section.images ?? {}).every((digest) => /^sha256:[0-9a-f]{64}$/.test(String(digest))) &&
    entries.length > 0;
  if (complete && wrong === undefined) return;
  const what = wrong ? `the package ${wrong[0]} of ${architecture}` : `the section ${architecture}`;
  throw invalidInput(
    FIELD,
    `${path}: ${what} is incomplete; remove the file and create it again with "image-builder lock"`,
  );
}

const isMirror = (value: unknown): boolean =>
  typeof value === 'string' && new RegExp(MIRROR, 'u').test(value);

const areAll = (list: unknown, check: (text: string) => boolean): boolean =>
  Array.isArray(list) && list.every((item) => typeof item === 'string' && check(item));

const isLockedPackage = (name: string, entry: Partial<LockedPackage> | null): boolean =>
  isPackageName(name) &&
  /^[0-9A-Za-z.+:~-]+$/.test(String(entry?.version)) &&
  /^[a-z0-9]+$/.test(entry?.architecture ?? '') &&
  typeof entry?.repository === 'string' &&
  // Part of a URL below the repository's.
  /^(?!.*\.\.)[\x21-\x2e\x30-\x7e][\x21-\x7e]*$/.test(entry.path ?? '') &&
  Number.isInteger(entry.size) &&
  /^[0-9a-f]{64}$/.test(entry.sha256 ?? '');

function fromSection({ packages, keyrings, ...rest }: Section): ResolvedLock {
  return {
    ...rest,
    keyrings: keyrings ?? {},
    packages: Object.entries(packages).map(([name, entry]) => ({
      name,
      ...entry,
      version: String(entry.version),
    })),
  };
}

function toSection({ packages, ...rest }: ResolvedLock): Section {
  return {
    ...rest,
    packages: Object.fromEntries(packages.map(({ name, ...entry }) => [name, entry])),
  };
}

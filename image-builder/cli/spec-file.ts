// Reads the file that a command is given: one ImageBuilder object whose spec has `build`.
import { readFile } from 'node:fs/promises';
import { InvalidInputError, invalidInput } from '../base/diagnostics/error.ts';
import type { Source } from '../base/yaml/excerpt.ts';
import type { Policy } from '../policy/policy.ts';
import { similarName } from '../spec/api/similar.ts';
import type { ImageBuilder } from '../spec/api/types.ts';
import type { ResolvedBuild } from '../spec/variables/resolved.ts';
import { type Explainer, explainBy } from './context.ts';

/** An ImageBuilder object of a file, ready to build. */
export interface BuildFile {
  object: ImageBuilder;
  resolved: ResolvedBuild;
  /** Shows findings about the object's fields with the lines of the file. */
  explain: Explainer;
}

/** What reading an object takes, beside the file. */
export interface ReadOptions {
  cwd: string;
  policy: Policy;
  lockIsOptional?: boolean;
}

const KIND = 'ImageBuilder';

/**
 * Reads and resolves the ImageBuilder object in `path` (`-`: standard input). Later errors about its fields are shown with
 * the lines of this file.
 * @throws InvalidInputError with all findings, each naming the file
 */
export async function readBuildFile(path: string, options: ReadOptions): Promise<BuildFile> {
  const documents = await readDocumentsOf(path);
  const index = theImageBuilder(documents.values, documents.file);
  return await readBuild(documents, index, options);
}

/** The documents of a file, and where each of their fields stands. */
export interface FileDocuments {
  /** As messages call it. */
  file: string;
  values: readonly unknown[];
  sources: readonly Source[];
}

/**
 * @param given the text of the file, where somebody has read it already
 * @throws InvalidInputError for a file that cannot be read, or is not YAML
 */
export async function readDocumentsOf(path: string, given?: string): Promise<FileDocuments> {
  const { readDocuments } = await import('../base/yaml/read-documents.ts');
  const file = path === '-' ? 'standard input' : path;
  const { values, sources, problems } = readDocuments(given ?? (await readText(path, file)));
  if (problems.length > 0) {
    throw new InvalidInputError(
      problems.map((problem) => ({ severity: 'error', message: `is not valid YAML: ${problem}`, file })),
    );
  }
  return { file, values, sources };
}

/** Reads and resolves one document of a file. @throws InvalidInputError with all findings about it */
export async function readBuild(
  { file, values, sources }: FileDocuments,
  index: number,
  { policy, ...options }: ReadOptions,
): Promise<BuildFile> {
  const [{ parseImageBuilder }, { resolveBuild }, { endOfLifeWarning }, { findExcerpt }] = await Promise.all([
    import('../spec/api/validate.ts'),
    import('../spec/variables/resolve.ts'),
    import('../spec/variables/end-of-life.ts'),
    import('../base/yaml/excerpt.ts'),
  ]);
  const source = sources[index];
  const explain: Explainer = (finding) => {
    const { field, message } = finding;
    if (field === undefined || (finding.file ?? file) !== file) return finding;
    const found = source && findExcerpt(source, field, message);
    // What an error while building is about may stand in another file, or nowhere.
    if (!found?.isExact && finding.tags?.code !== undefined) return finding;
    return { ...finding, file, ...(found && { line: found.line, excerpt: found.text }) };
  };
  explainBy(explain);
  const object = await parseImageBuilder(values[index]);
  if (!object.spec.build) throw invalidInput('spec', 'reads a bundle, expected spec.build');
  const resolved = await resolveBuild(object.metadata.name, object.spec.build, {
    ...options,
    read: policy.read,
  });
  const warning = endOfLifeWarning(resolved, new Date());
  if (warning !== undefined) process.stderr.write(`warning: ${warning}\n`);
  return { object, resolved, explain };
}

/** Whether a document is an ImageBuilder object, and not one that only reads a bundle. */
export function isBuild(value: unknown): boolean {
  const spec = fieldOf(value, 'spec');
  const reads = fieldOf(spec, 'bundle') !== undefined && fieldOf(spec, 'build') === undefined;
  return fieldOf(value, 'kind') === KIND && !reads;
}

/** The index of the only ImageBuilder object. @throws InvalidInputError when there is none, or another */
export function theImageBuilder(values: readonly unknown[], file: string): number {
  const found = values.filter((value) => fieldOf(value, 'kind') === KIND);
  if (found.length === 1) return values.indexOf(found[0]);
  const names = (some: readonly unknown[]) => some.map(nameOf).join(', ');
  if (found.length > 1)
    throw invalidInput({ file }, `has ${found.length} ${KIND} objects (${names(found)}), expected one`);
  if (values.length === 0) throw invalidInput({ file }, `is empty, expected an object of kind ${KIND}`);
  const kinds = values.map((value) => String(fieldOf(value, 'kind')));
  const isMisspelt = kinds.some((kind) => similarName(KIND, [kind]) !== undefined);
  const advice = isMisspelt ? `did you mean kind: ${KIND}?` : `expected one of kind ${KIND}`;
  throw invalidInput({ file }, `has no ${KIND} object, only ${names(values)}; ${advice}`);
}

/** `kind/name` of a document, as far as it has them. */
export function nameOf(value: unknown): string {
  const kind = fieldOf(value, 'kind');
  if (kind === undefined) return 'an object without kind';
  const name = fieldOf(fieldOf(value, 'metadata'), 'name');
  return name === undefined ? String(kind) : `${kind}/${name}`;
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

async function readText(path: string, file: string): Promise<string> {
  try {
    if (path !== '-') return await readFile(path, 'utf8');
    // Not /dev/stdin: a socket, which is what callers in Node give, cannot be opened.
    return await (await import('node:stream/consumers')).text(process.stdin);
  } catch (error) {
    throw invalidInput({ file }, `cannot be read: ${(error as Error).message}`);
  }
}

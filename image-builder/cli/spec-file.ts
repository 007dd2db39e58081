// Reads the file that a command is given: one ImageBuilder object whose spec has `build`.
import { readFile } from 'node:fs/promises';
import { InvalidInputError, invalidInput } from '../base/diagnostics/error.ts';
import type { Policy } from '../policy/policy.ts';
import { similarName } from '../spec/api/similar.ts';
import type { ImageBuilder } from '../spec/api/types.ts';
import type { ResolvedBuild } from '../spec/variables/resolved.ts';
import { explainBy } from './context.ts';

/** An ImageBuilder object of a file, ready to build. */
export interface BuildFile {
  object: ImageBuilder;
  resolved: ResolvedBuild;
}

const KIND = 'ImageBuilder';

/**
 * Reads and resolves the ImageBuilder object in `path` (`-`: standard input). Later errors about its fields are shown with
 * the lines of this file.
 * @throws InvalidInputError with all findings, each naming the file
 */
export async function readBuildFile(
  path: string,
  { cwd, policy, ...options }: { cwd: string; policy: Policy; lockIsOptional?: boolean },
): Promise<BuildFile> {
  const [{ readDocuments }, { parseImageBuilder }, { resolveBuild }, { endOfLifeWarning }, { findExcerpt }] =
    await Promise.all([
      import('../base/yaml/read-documents.ts'),
      import('../spec/api/validate.ts'),
      import('../spec/variables/resolve.ts'),
      import('../spec/variables/end-of-life.ts'),
      import('../base/yaml/excerpt.ts'),
    ]);
  const file = path === '-' ? 'standard input' : path;
  const { values, sources, problems } = readDocuments(await readText(path, file));
  if (problems.length > 0) {
    throw new InvalidInputError(
      problems.map((problem) => ({ severity: 'error', message: `is not valid YAML: ${problem}`, file })),
    );
  }
  const index = theImageBuilder(values, file);
  const source = sources[index];
  explainBy((finding) => {
    const { field, message } = finding;
    if (field === undefined || (finding.file ?? file) !== file) return finding;
    const found = source && findExcerpt(source, field, message);
    // What an error while building is about may stand in another file, or nowhere.
    if (!found?.isExact && finding.tags?.code !== undefined) return finding;
    return { ...finding, file, ...(found && { line: found.line, excerpt: found.text }) };
  });
  const object = await parseImageBuilder(values[index]);
  if (!object.spec.build) throw invalidInput('spec', 'reads a bundle, expected spec.build');
  const resolved = await resolveBuild(object.metadata.name, object.spec.build, {
    cwd,
    read: policy.read,
    ...options,
  });
  const warning = endOfLifeWarning(resolved, new Date());
  if (warning !== undefined) process.stderr.write(`warning: ${warning}\n`);
  return { object, resolved };
}

/** The index of the only ImageBuilder object. */
function theImageBuilder(values: readonly unknown[], file: string): number {
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

function nameOf(value: unknown): string {
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

// Reads the file that a command is given: one ImageBuilder object whose spec has `build`.
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Document, LineCounter } from 'yaml';
import { type Finding, InvalidInputError } from '../diagnostics/error.ts';
import type { Policy } from '../policy/types.ts';
import { similarName } from '../spec/similar.ts';
import type { ImageBuilder } from '../spec/types.ts';
import type { ResolvedBuild } from '../variables/types.ts';
import { explainBy } from './context.ts';

/** An ImageBuilder object of a file, ready to build. */
export interface BuildFile {
  object: ImageBuilder;
  resolved: ResolvedBuild;
}

const KIND = 'ImageBuilder';

/**
 * Reads and resolves the ImageBuilder object in `path` (`-`: standard input). Whoever names the file answers for it, and
 * for what lies beside it. Later errors about its fields are shown with the lines of this file.
 * @throws InvalidInputError with all findings, each naming the file
 */
export async function readBuildFile(
  path: string,
  { cwd, policy, ...options }: { cwd: string; policy: Policy; lockIsOptional?: boolean },
): Promise<BuildFile> {
  const [
    { LineCounter, parseAllDocuments },
    { parseImageBuilder },
    { resolveBuild },
    { endOfLifeWarning },
    { findExcerpt },
  ] = await Promise.all([
    import('yaml'),
    import('../spec/validate.ts'),
    import('../variables/resolve.ts'),
    import('../variables/profile-facts.ts'),
    import('../yaml/excerpt.ts'),
  ]);
  const read = [...(path === '-' ? [] : [resolve(cwd, dirname(path))]), ...policy.read];
  const file = path === '-' ? 'standard input' : path;
  const source = await readText(path, file);
  const lineCounter: LineCounter = new LineCounter();
  const documents = parseAllDocuments(source, { lineCounter }).filter((one) => one.contents) as Document[];
  const problem = documents.flatMap(({ errors }) => errors)[0];
  if (problem) throw invalid(`is not valid YAML: ${problem.message}`, { file });
  const [document, value] = theImageBuilder(documents, file);
  explainBy((finding) => {
    const { field, message } = finding;
    if (field === undefined || (finding.file ?? file) !== file) return finding;
    const found = findExcerpt({ source, document, lineCounter }, field, message);
    // Of what an error while building is about, only what is there can be shown.
    const shown = found && (found.isExact || finding.tags?.code === undefined) ? found : undefined;
    return { ...finding, file, ...(shown && { line: shown.line, excerpt: shown.text }) };
  });
  const object = parseImageBuilder(value);
  if (!object.spec.build) throw invalid('extracts a bundle, expected spec.build', { field: 'spec' });
  const resolved = await resolveBuild(object.metadata.name, object.spec.build, { cwd, read, ...options });
  const warning = endOfLifeWarning(resolved, new Date());
  if (warning !== undefined) process.stderr.write(`warning: ${warning}\n`);
  return { object, resolved };
}

/** The document of the only ImageBuilder object, and its value. */
function theImageBuilder(documents: readonly Document[], file: string): [Document, unknown] {
  const objects = documents.map((document): [Document, unknown] => [document, contentOf(document, file)]);
  const found = objects.filter(([, value]) => fieldOf(value, 'kind') === KIND);
  const [only] = found;
  if (only && found.length === 1) return only;
  const names = (some: readonly (readonly [Document, unknown])[]) => some.map(([, value]) => nameOf(value));
  if (found.length > 1)
    throw invalid(`has ${found.length} ${KIND} objects (${names(found).join(', ')}), expected one`, { file });
  if (objects.length === 0) throw invalid(`is empty, expected an object of kind ${KIND}`, { file });
  const kinds = objects.map(([, value]) => String(fieldOf(value, 'kind')));
  const isMisspelt = kinds.some((kind) => similarName(KIND, [kind]) !== undefined);
  const advice = isMisspelt ? `did you mean kind: ${KIND}?` : `expected one of kind ${KIND}`;
  throw invalid(`has no ${KIND} object but ${names(objects).join(', ')}; ${advice}`, { file });
}

/** @throws InvalidInputError when aliases are too many, or lead nowhere */
function contentOf(document: Document, file: string): unknown {
  try {
    return document.toJS();
  } catch (error) {
    throw invalid(`cannot be read: ${(error as Error).message}`, { file });
  }
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
    throw invalid(`cannot be read: ${(error as Error).message}`, { file });
  }
}

function invalid(message: string, where: Pick<Finding, 'field' | 'file'>): InvalidInputError {
  return new InvalidInputError([{ severity: 'error', message, ...where }]);
}

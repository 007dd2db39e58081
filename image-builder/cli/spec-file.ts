// Reads the file that a command is given: one ImageBuilder object whose spec has `build`.
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { type Finding, InvalidInputError } from '../diagnostics/error.ts';
import type { Policy } from '../policy/types.ts';
import type { ImageBuilder } from '../spec/types.ts';
import type { ResolvedBuild } from '../variables/types.ts';

/** An ImageBuilder object of a file, ready to build. */
export interface BuildFile {
  object: ImageBuilder;
  resolved: ResolvedBuild;
}

/**
 * Reads and resolves the ImageBuilder object in `path` (`-`: standard input). Whoever names the file answers for it, and
 * for what lies beside it.
 * @throws InvalidInputError with all findings, each naming the file
 */
export async function readBuildFile(
  path: string,
  { cwd, policy, ...options }: { cwd: string; policy: Policy; lockIsOptional?: boolean },
): Promise<BuildFile> {
  const [{ parseAllDocuments }, { parseImageBuilder }, { resolveBuild }, { endOfLifeWarning }] =
    await Promise.all([
      import('yaml'),
      import('../spec/validate.ts'),
      import('../variables/resolve.ts'),
      import('../variables/profile-facts.ts'),
    ]);
  const read = [...(path === '-' ? [] : [resolve(cwd, dirname(path))]), ...policy.read];
  try {
    const documents = parseAllDocuments(await readText(path)).filter((document) => document.contents);
    const problem = documents.flatMap((document) => document.errors)[0];
    if (problem) throw invalid(`is not valid YAML: ${problem.message}`);
    const objects = documents.map((document) => document.toJS()).filter(isImageBuilder);
    if (objects.length !== 1) throw invalid(`has ${objects.length} ImageBuilder objects, expected one`);
    const object = parseImageBuilder(objects[0]);
    if (!object.spec.build) throw invalid('extracts a bundle, expected spec.build', 'spec');
    const resolved = await resolveBuild(object.metadata.name, object.spec.build, { cwd, read, ...options });
    const warning = endOfLifeWarning(resolved, new Date());
    if (warning !== undefined) process.stderr.write(`warning: ${warning}\n`);
    return { object, resolved };
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error;
    throw new InvalidInputError(
      error.findings().map((finding) => ({ file: path, ...finding })),
      { cause: error },
    );
  }
}

async function readText(path: string): Promise<string> {
  try {
    if (path !== '-') return await readFile(path, 'utf8');
    // Not /dev/stdin: a socket, which is what callers in Node give, cannot be opened.
    return await (await import('node:stream/consumers')).text(process.stdin);
  } catch (error) {
    throw invalid(`cannot be read: ${(error as Error).message}`);
  }
}

function isImageBuilder(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'ImageBuilder';
}

function invalid(message: string, field?: string): InvalidInputError {
  const finding: Finding = { severity: 'error', message, ...(field && { field }) };
  return new InvalidInputError([finding]);
}

// Where a path of a spec leads, and whether the spec may go there: below the directory that the caller stands in, or
// below what the policy adds. Symbolic links are resolved first; what lies outside is not told apart from what is not there.
import { readlink, realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { errnoOf } from '../base/diagnostics/errno.ts';
import { type Finding, ImageBuilderError, InvalidInputError } from '../base/diagnostics/error.ts';

export type PathErrorCode =
  /** The path is outside the paths that the spec may use. */
  | 'PATH_OUTSIDE'
  /** The path does not exist. */
  | 'PATH_MISSING'
  /** The path is a loop of symbolic links. */
  | 'PATH_LOOP'
  /** The path is a directory, a device, a fifo or a socket. */
  | 'NOT_A_FILE'
  /** The file is larger than the limit for such files. */
  | 'FILE_TOO_LARGE'
  /** The operating system refuses access to the path. */
  | 'PATH_UNREADABLE'
  /** Something other than an earlier result already exists there. */
  | 'OUTPUT_TAKEN';

/** A path of a spec that cannot be used. The message says all in one line, to be put behind a field. */
export class PathError extends ImageBuilderError<PathErrorCode> {
  constructor(
    code: PathErrorCode,
    problem: string,
    { cause, hint }: { cause?: unknown; hint?: string } = {},
  ) {
    super(code, hint === undefined ? problem : `${problem}; ${hint}`, { cause });
  }

  /** The same about a field of the spec. */
  at(field: string): InvalidInputError {
    return new InvalidInputError([this.finding(field)], { cause: this });
  }

  /** As a finding about a field. @param file that the field stands in */
  finding(field: string, file?: string): Finding {
    return {
      severity: 'error',
      field,
      message: this.message,
      ...(file !== undefined && { file }),
      tags: { code: this.code },
    };
  }
}

/** A repository's own files hold credentials of whoever has checked it out. */
const NEVER = '.git';
/** Whoever allows everything means files, not what the kernel tells about processes and devices. */
const SYSTEM = /^(?:proc|sys|dev)(?:\/|$)/;

/** The directories and files that paths may lead to. */
export class AllowedPaths {
  readonly #roots: readonly string[];
  readonly #hint: (path: string) => string;
  #real: Promise<string[]> | undefined;

  /**
   * @param roots absolute; what does not exist allows nothing
   * @param hint what would allow another path
   */
  constructor(roots: readonly string[], hint: (path: string) => string) {
    this.#roots = roots;
    this.#hint = hint;
  }

  /**
   * The real path of something that exists.
   * @param path absolute
   * @throws PathError
   */
  async existing(path: string): Promise<string> {
    try {
      const real = await realpath(path);
      if (await this.includes(real)) return real;
    } catch (error) {
      if (await this.#isInside(path)) throw explain(error, path);
    }
    throw this.outside(path);
  }

  /**
   * The real path of something that may not exist yet.
   * @param path absolute
   * @throws PathError
   */
  async future(path: string): Promise<string> {
    const real = await realPathOfFuture(path);
    if (await this.includes(real)) return real;
    throw this.outside(path);
  }

  /** Whether a real path is allowed. */
  async includes(real: string): Promise<boolean> {
    this.#real ??= realPaths(this.#roots);
    return (await this.#real).some((root) => {
      const below = relativeTo(root, real);
      if (below === undefined || below.split(sep).includes(NEVER)) return false;
      return root !== sep || !SYSTEM.test(below);
    });
  }

  outside(path: string): PathError {
    return new PathError('PATH_OUTSIDE', `${path} is outside the paths that this spec may use`, {
      hint: this.#hint(path),
    });
  }

  /** Whether what is not there, or cannot be resolved, would be inside: the deepest directory that is there tells. */
  async #isInside(path: string): Promise<boolean> {
    return await this.includes(await realPathOfFuture(path));
  }
}

/** What follows the root; undefined when the path is not below it. */
function relativeTo(root: string, path: string): string | undefined {
  if (path === root) return '';
  const prefix = root.endsWith(sep) ? root : root + sep;
  return path.startsWith(prefix) ? path.slice(prefix.length) : undefined;
}

async function realPaths(roots: readonly string[]): Promise<string[]> {
  const found = await Promise.all(roots.map((root) => realpath(root).catch(() => undefined)));
  return found.filter((root) => root !== undefined);
}

/** The real path of the deepest part that exists, with the rest as it is written. */
async function realPathOfFuture(path: string, links = 0): Promise<string> {
  const absolute = resolve(path);
  try {
    return await realpath(absolute);
  } catch (error) {
    const parent = dirname(absolute);
    if (parent === absolute || errnoOf(error) === 'ELOOP') return absolute;
    // A link whose target is not there yet: writing would follow it.
    const target = links < 40 ? await readlink(absolute).catch(() => undefined) : undefined;
    if (target !== undefined) return await realPathOfFuture(resolve(parent, target), links + 1);
    return join(await realPathOfFuture(parent, links), basename(absolute));
  }
}

function explain(error: unknown, path: string): PathError {
  switch (errnoOf(error)) {
    case 'ENOENT':
    case 'ENOTDIR':
      return new PathError('PATH_MISSING', `${path} does not exist`, { cause: error });
    case 'ELOOP':
      return new PathError('PATH_LOOP', `${path} is a symbolic link that leads to itself`, { cause: error });
    default:
      return new PathError('PATH_UNREADABLE', `${path} cannot be read (${errnoOf(error)})`, { cause: error });
  }
}

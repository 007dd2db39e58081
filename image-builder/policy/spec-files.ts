// The files that a spec names: manifests, scripts, keys, the lock. Each is opened once, and read from what was opened.
import { constants, type Dirent } from 'node:fs';
import { type FileHandle, open, readdir, readlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { errnoOf } from '../base/diagnostics/errno.ts';
import { AllowedPaths, PathError } from './paths.ts';
import { howToAllow } from './refusal.ts';

/** Bytes that a file of a spec may have when nothing says otherwise. */
const DEFAULT_LIMIT = 16 << 20;

/** A tree with more than that is not a directory of manifests. */
const TREE_LIMIT = { files: 10_000, depth: 32 };

/** Reads below the directories that it is given, and nothing else. */
export class SpecFiles {
  readonly #allowed: AllowedPaths;
  readonly #cwd: string;

  /**
   * @param cwd absolute directory that paths are relative to, and that may be read
   * @param others absolute paths that may be read besides
   */
  constructor(cwd: string, others: readonly string[] = []) {
    this.#cwd = cwd;
    this.#allowed = new AllowedPaths([cwd, ...others], (path) =>
      howToAllow({
        option: `--allow-path ${path}`,
        variable: `IMAGE_BUILDER_ALLOW_PATHS=${path}`,
        line: `read: [${path}]`,
      }),
    );
  }

  /** The absolute path that a spec means. */
  resolve(path: string): string {
    return resolve(this.#cwd, path);
  }

  /**
   * The content of a regular file.
   * @param limit bytes
   * @throws PathError
   */
  async read(path: string, limit = DEFAULT_LIMIT): Promise<Buffer> {
    const absolute = this.resolve(path);
    const real = await this.#allowed.existing(absolute);
    const file = await openReal(real, absolute);
    try {
      // Between looking and opening a directory may have become a link.
      const opened = await readlink(`/proc/self/fd/${file.fd}`).catch(() => real);
      if (!(await this.#allowed.includes(opened))) throw this.#allowed.outside(absolute);
      const facts = await file.stat();
      if (!facts.isFile()) throw new PathError('NOT_A_FILE', `${absolute} is not a regular file`);
      return await readWhole(file, absolute, limit);
    } finally {
      await file.close();
    }
  }

  /** Makes sure that a path, whether there is something or not, may be read. @throws PathError */
  async require(path: string): Promise<void> {
    await this.#allowed.future(this.resolve(path));
  }

  /** @throws PathError; also for text that is not UTF-8 */
  async readText(path: string, limit = DEFAULT_LIMIT): Promise<string> {
    const content = await this.read(path, limit);
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content);
    } catch (cause) {
      throw new PathError('PATH_UNREADABLE', `${this.resolve(path)} is not UTF-8 text`, { cause });
    }
  }

  /**
   * The regular files below a directory, by their path in it, with the paths to read them by. Links are followed to
   * what may be read.
   * @throws PathError
   */
  async list(directory: string): Promise<Map<string, string>> {
    const files = new Map<string, string>();
    await this.#collect(this.resolve(directory), '', files, []);
    return files;
  }

  /** Whether there is a directory that may be read. @throws PathError when there is something that may not */
  async isDirectory(path: string): Promise<boolean> {
    try {
      await this.names(path);
      return true;
    } catch (error) {
      if (error instanceof PathError && (error.code === 'PATH_MISSING' || error.code === 'NOT_A_FILE'))
        return false;
      throw error;
    }
  }

  /** What is in a directory. @throws PathError */
  async names(path: string): Promise<string[]> {
    const absolute = this.resolve(path);
    return (await listReal(await this.#allowed.existing(absolute), absolute)).map(({ name }) => name);
  }

  /** @param above real paths of the directories that it lies in, by which a link that leads back is known */
  async #collect(
    directory: string,
    prefix: string,
    files: Map<string, string>,
    above: readonly string[],
  ): Promise<void> {
    const real = await this.#allowed.existing(directory);
    if (above.includes(real))
      throw new PathError('PATH_LOOP', `${directory} is a symbolic link to one of its parent directories`);
    if (above.length >= TREE_LIMIT.depth || files.size >= TREE_LIMIT.files)
      throw new PathError('FILE_TOO_LARGE', `${directory} has too many files to be manifests`);
    for (const entry of await listReal(real, directory)) {
      // The repository's own directory: see paths.ts.
      if (entry.name === '.git') continue;
      const path = join(directory, entry.name);
      const name = `${prefix}${entry.name}`;
      if (entry.isFile()) files.set(name, path);
      else if (entry.isDirectory()) await this.#collect(path, `${name}/`, files, [...above, real]);
      else if (entry.isSymbolicLink()) await this.#collectLink(path, name, files, [...above, real]);
    }
  }

  async #collectLink(
    path: string,
    name: string,
    files: Map<string, string>,
    above: readonly string[],
  ): Promise<void> {
    try {
      await this.#collect(path, `${name}/`, files, above);
    } catch (error) {
      if (!(error instanceof PathError) || error.code !== 'NOT_A_FILE') throw error;
      // A file, or something that reading will refuse.
      files.set(name, path);
    }
  }
}

async function openReal(real: string, path: string): Promise<FileHandle> {
  try {
    // Links are resolved by now. Opening a fifo would wait for its writer otherwise.
    return await open(real, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    // A socket cannot be opened.
    const code = errnoOf(cause) === 'ENXIO' ? 'NOT_A_FILE' : 'PATH_UNREADABLE';
    throw new PathError(code, `${path} cannot be read (${errnoOf(cause)})`, { cause });
  }
}

async function listReal(real: string, path: string): Promise<Dirent[]> {
  try {
    return await readdir(real, { withFileTypes: true });
  } catch (cause) {
    const code = errnoOf(cause) === 'ENOTDIR' ? 'NOT_A_FILE' : 'PATH_UNREADABLE';
    const message = code === 'NOT_A_FILE' ? 'is not a directory' : `cannot be read (${errnoOf(cause)})`;
    throw new PathError(code, `${path} ${message}`, { cause });
  }
}

/** What the file says of its size is believed by nobody: those of /proc have none. */
async function readWhole(file: FileHandle, path: string, limit: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for (;;) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(1 << 16));
    if (bytesRead === 0) return Buffer.concat(parts);
    size += bytesRead;
    if (size > limit)
      throw new PathError(
        'FILE_TOO_LARGE',
        `${path} has more than ${limit} bytes, the limit for such a file`,
      );
    parts.push(buffer.subarray(0, bytesRead));
  }
}

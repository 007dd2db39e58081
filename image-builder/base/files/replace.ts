// Files that appear whole or not at all: written beside their place under a name that nobody can guess, then renamed.
import { constants } from 'node:fs';
import { type FileHandle, lstat, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Temporary names of {@link makeBeside}; the final name is not part of them, because it may be as long as names can be. */
const TEMPORARY = /^\.image-builder-[0-9a-f-]{36}$/;

// O_EXCL never follows a link at the name itself (open(2)); O_NOFOLLOW says so to whoever reads this.
const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** How a file is written. */
export interface NewFile {
  /** Permissions before the umask; default 0o666. */
  mode?: number;
  /** Whether it must survive a power cut right after the rename; costs a wait for the disk. */
  durable?: boolean;
}

/**
 * Puts `content` at `path`. A symbolic link there is replaced, not followed.
 * @throws the error of the system call that failed; `path` is as before then
 */
export async function replaceFile(
  path: string,
  content: string | Uint8Array,
  options: NewFile = {},
): Promise<void> {
  await writeBeside(path, (file) => file.writeFile(content), options);
}

/**
 * Puts what `write` writes at `path`, once it has resolved.
 * @returns what `write` returns
 * @throws what `write` throws, or the error of a system call; `path` is as before then, and nothing is left
 */
export async function writeBeside<Result>(
  path: string,
  write: (file: FileHandle) => Promise<Result>,
  { mode = 0o666, durable = false }: NewFile = {},
): Promise<Result> {
  return await makeBeside(path, async (temporary) => {
    const file = await open(temporary, NEW_FILE, mode);
    try {
      const result = await write(file);
      if (durable) await file.sync();
      return result;
    } finally {
      await file.close();
    }
  });
}

/**
 * Puts at `path` what `make` makes under a free name in the same directory: a link, a copy, a directory. A process id
 * would be no such name: every container has a process 1.
 * @param make creates `temporary`, and fails if something of that name is there
 * @returns what `make` returns
 * @throws what `make` throws, or the error of the rename; nothing is left then
 */
export async function makeBeside<Result>(
  path: string,
  make: (temporary: string) => Promise<Result>,
): Promise<Result> {
  // The global one: loading node:crypto takes as long as a small read.
  const temporary = join(dirname(path), `.image-builder-${crypto.randomUUID()}`);
  try {
    const result = await make(temporary);
    await rename(temporary, path);
    return result;
  } finally {
    // Also on success: rename(2) removes no name if both are links to the same file.
    await rm(temporary, { recursive: true, force: true }).catch(() => {});
  }
}

/** Whether a file of this name is being written, or was left by a process that was killed. */
export const isTemporary = (name: string): boolean => TEMPORARY.test(name);

/**
 * Removes what killed processes have left in `directory`. Only for directories that are ours.
 * @param idle milliseconds for which nobody must have written to it; 0 when a lock keeps all others out
 */
export async function sweepLeftovers(directory: string, idle = 24 * 3600 * 1000): Promise<void> {
  const names = await readdir(directory).catch(() => []);
  for (const name of names.filter(isTemporary)) {
    const path = join(directory, name);
    // Another process may be sweeping, and what belongs to another user stays.
    const found = await lstat(path).catch(() => undefined);
    if (found && (idle === 0 || Date.now() - found.mtimeMs > idle)) {
      await rm(path, { recursive: true, force: true }).catch(() => {});
    }
  }
}

// Directories that are held open, so that whatever happens to their names meanwhile leads nowhere else: what openat(2) is
// for, which Node does not have. Linux shows open directories below /proc.
import { constants } from 'node:fs';
import { lstat, open } from 'node:fs/promises';

/** A directory that is open. */
export interface HeldDirectory {
  /** Leads to this very directory for as long as it is held, where there is /proc; else its name. */
  readonly path: string;
  /** User id of the owner, and permissions with the type, as stat(2) gives them. */
  readonly owner: { uid: number; mode: number };
  release(): Promise<void>;
}

/**
 * Opens a directory.
 * @param follow whether `path` may be a symbolic link to it
 * @throws the error of the system call: ENOTDIR or ELOOP when it is something else
 */
export async function holdDirectory(path: string, follow: boolean): Promise<HeldDirectory> {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | (follow ? 0 : constants.O_NOFOLLOW);
  const directory = await open(path, flags);
  try {
    const { uid, mode } = await directory.stat();
    const shown = `/proc/self/fd/${directory.fd}`;
    const isShown = await lstat(shown).then(
      (found) => found.isSymbolicLink(),
      () => false,
    );
    return { path: isShown ? shown : path, owner: { uid, mode }, release: () => directory.close() };
  } catch (error) {
    await directory.close();
    throw error;
  }
}

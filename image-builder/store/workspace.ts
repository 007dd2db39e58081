// Work directories of running builds: locked while their process lives, removed by whoever comes next when it died.
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../base/diagnostics/errno.ts';
import { acquireLock, type Lock, tryLock } from '../base/locking/file-lock.ts';
import { storeFailure } from './errors.ts';
import { type Store, storePath } from './store.ts';

/** Removes a tree whose files may belong to the subordinate users of a user namespace. */
export type RemoveTree = (path: string) => Promise<void>;

/** A private directory on the store's file system. */
export interface Workspace {
  readonly directory: string;
  /** Removes something in it early. */
  remove(path: string): Promise<void>;
  /** Removes it with everything in it. */
  dispose(): Promise<void>;
}

const LOCK_FILE = 'lock';
/** Serialises "make a directory and lock it" with "find directories that nobody has locked". */
const NURSERY = 'workspaces';

/** Removes what dead processes have left behind and makes a new work directory. */
export async function createWorkspace(store: Store, removeTree: RemoveTree): Promise<Workspace> {
  try {
    const nursery = await holdWorkspaces(store);
    try {
      await removeAbandoned(store, removeTree);
      const directory = storePath(store, 'work', `${process.pid}-${randomBytes(4).toString('hex')}`);
      await mkdir(directory);
      const lock = await acquireLock(join(directory, LOCK_FILE));
      return {
        directory,
        remove: removeTree,
        dispose: async () => {
          await removeTree(directory);
          await lock.release();
        },
      };
    } finally {
      await nursery.release();
    }
  } catch (error) {
    throw storeFailure(error, 'make a work directory', store.directory);
  }
}

/** Keeps builds from beginning until it is released. */
export async function holdWorkspaces(store: Store): Promise<Lock> {
  return await acquireLock(storePath(store, 'locks', NURSERY));
}

async function removeAbandoned(store: Store, removeTree: RemoveTree): Promise<void> {
  for (const name of await readdir(storePath(store, 'work'))) {
    const directory = storePath(store, 'work', name);
    // A directory without a lock file is that of a process that died in between, or half removed: trying makes one.
    const lock = await tryLock(join(directory, LOCK_FILE)).catch((error) => {
      if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
      throw error;
    });
    if (!lock) continue;
    // What the last child of a dying process still writes is removed the next time.
    await removeTree(directory).catch(() => {});
    await lock.release();
  }
}

/** When the oldest build that is running now began; undefined when none is. */
export async function runningSince(store: Store): Promise<Date | undefined> {
  let oldest: Date | undefined;
  for (const name of await readdir(storePath(store, 'work'))) {
    const file = storePath(store, 'work', name, LOCK_FILE);
    const lock = await tryLock(file).catch(() => undefined);
    if (lock) {
      await lock.release();
      continue;
    }
    const birth = await stat(file).catch(() => undefined);
    if (birth && (!oldest || birth.mtime < oldest)) oldest = birth.mtime;
  }
  return oldest;
}

/** {@link RemoveTree} for trees that hold only files of this user; `elsewise` gets those that do not. */
export function treeRemover(elsewise?: RemoveTree): RemoveTree {
  return async (path) => {
    try {
      await rm(path, { recursive: true, force: true, maxRetries: 3 });
    } catch (error) {
      const errno = errnoOf(error);
      if (!elsewise || (errno !== 'EACCES' && errno !== 'EPERM')) throw error;
      await elsewise(path);
    }
  };
}

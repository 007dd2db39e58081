// Where a copy keeps downloads and unpacked files until they are verified: a private directory inside the target, used by
// one process at a time; the next one resumes from it.

import { mkdir, readdir, rm, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../../base/diagnostics/errno.ts';
import { type HeldDirectory, holdDirectory } from '../../base/files/held-directory.ts';
import { LockError, lockDirectory } from '../../base/locking/file-lock.ts';
import { BundleError } from '../bundle-error.ts';

const NAME = '.image-builder-download';

/** The directory, held and locked. */
export interface Workplace {
  readonly path: string;
  /** Removes it with its content. Without this call the next copy resumes from it. */
  remove(): Promise<void>;
  release(): Promise<void>;
}

/**
 * Opens the private directory in `target` and waits until no other process uses it.
 * @throws BundleError UNSAFE_DIRECTORY; CancelledError; the error of a system call
 */
export async function openWorkplace(target: string, signal?: AbortSignal): Promise<Workplace> {
  const name = join(target, NAME);
  for (;;) {
    const isNew = await mkdir(name, { mode: 0o700 }).then(
      () => true,
      (error: unknown) => {
        if (errnoOf(error) === 'EEXIST') return false;
        throw error;
      },
    );
    const held = await hold(name, isNew);
    if (!held) continue;
    const lock = await lockDirectory(held.path, signal).catch(async (error: unknown) => {
      // On a file system without locks, two simultaneous copies fail by their checksums.
      if (error instanceof LockError) return undefined;
      await held.release();
      throw error;
    });
    const release = async () => {
      // Its content is for the next copy; an empty directory is not worth keeping.
      await rmdir(name).catch(() => {});
      await lock?.release();
      await held.release();
    };
    // The previous holder may have removed it meanwhile.
    if (await isStill(name, held.path))
      return { path: held.path, remove: () => remove(name, held.path), release };
    await lock?.release();
    await held.release();
  }
}

/** Holds the directory open if it is ours alone; undefined when it has been removed meanwhile. */
async function hold(name: string, isNew: boolean): Promise<HeldDirectory | undefined> {
  const unsafe = (why: string) =>
    new BundleError('UNSAFE_DIRECTORY', `${NAME} in the target directory ${why}`, {
      hint: 'Remove it, or copy into another directory.',
    });
  const held = await holdDirectory(name, false).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw unsafe('is not a directory');
  });
  const isOurs = held && (held.owner.uid === process.geteuid?.() || isNew) && (held.owner.mode & 0o022) === 0;
  if (!held || isOurs) return held;
  await held.release();
  throw unsafe('belongs to somebody else, or others may write to it');
}

async function isStill(name: string, held: string): Promise<boolean> {
  const [named, mine] = await Promise.all([stat(name).catch(() => undefined), stat(held)]);
  return named !== undefined && named.ino === mine.ino && named.dev === mine.dev;
}

async function remove(name: string, held: string): Promise<void> {
  for (const entry of await readdir(held)) await rm(join(held, entry), { recursive: true, force: true });
  await rmdir(name);
}

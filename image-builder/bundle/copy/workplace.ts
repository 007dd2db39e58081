// Where a copy keeps what it has downloaded and unpacked until it is right: a directory of its own inside the target, in
// which nobody else may write, used by one process at a time, and resumed by the next one.

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
  /** Removes it with all that is in it; what it is without, the next copy takes up. */
  remove(): Promise<void>;
  release(): Promise<void>;
}

/** @throws BundleError UNSAFE_DIRECTORY; CancelledError; the error of a system call */
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
      // Where there are no locks, whoever copies twice at once meets checksums that are wrong.
      if (error instanceof LockError) return undefined;
      await held.release();
      throw error;
    });
    const release = async () => {
      // What is in it is for the next copy; nothing is nobody's.
      await rmdir(name).catch(() => {});
      await lock?.release();
      await held.release();
    };
    // Whoever held it before may have removed it.
    if (await isStill(name, held.path))
      return { path: held.path, remove: () => remove(name, held.path), release };
    await lock?.release();
    await held.release();
  }
}

/** Undefined when it is gone again. */
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

// Locks that processes share through files: flock(2), so that the kernel frees them however their process ends.
//
// Node has no flock. But flock(1) locks an open file that it inherits, and such a lock belongs to the open file, not
// to the process: after flock(1) has gone it lasts until this process closes the file or dies. Unlike a file with a
// process id, it needs no guess about who is alive, and works across users, PID namespaces and containers.
import { constants } from 'node:fs';
import { type FileHandle, lstat, open } from 'node:fs/promises';
import { throwIfCancelled } from '../diagnostics/cancelled.ts';
import { errnoOf } from '../diagnostics/errno.ts';
import { ImageBuilderError } from '../diagnostics/error.ts';

/** Files cannot be locked on this file system or machine. */
export class LockError extends ImageBuilderError<'LOCK_FAILED'> {}

/** A lock that this process holds. */
export interface Lock {
  readonly path: string;
  /** Descriptor of the locked file: a child that inherits it holds the lock too, until it ends. */
  readonly fd: number;
  /** Appends a line to the lock's file, for those who wait to read. */
  note(line: string): Promise<void>;
  release(): Promise<void>;
}

/** How {@link acquireLock} waits. */
export interface LockOptions {
  signal?: AbortSignal;
  /** Called once when another process has the lock. */
  onWait?: () => void;
  /** Receives each line that the holder notes while this process waits. */
  onNote?: (line: string) => void;
}

/** Milliseconds between two looks at what the holder has noted. */
const NOTE_INTERVAL = 200;

/** Takes the lock if nobody has it; undefined otherwise. */
export async function tryLock(path: string): Promise<Lock | undefined> {
  const file = await openLockFile(path);
  try {
    if ((await flock(file, ['--nonblock'])) && (await isStill(path, file))) return await diary(path, file);
  } catch (error) {
    await file.close();
    throw error;
  }
  await file.close();
  return undefined;
}

/**
 * Locks a directory itself: nothing is left in it, and it may belong to others.
 * @throws CancelledError; LockError when locks do not work here
 */
export async function lockDirectory(
  path: string,
  signal?: AbortSignal,
): Promise<{ release(): Promise<void> }> {
  const file = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await flock(file, [], signal);
  } catch (error) {
    await file.close();
    throw error;
  }
  return { release: () => file.close() };
}

/**
 * Takes the lock, waiting for it as long as somebody else has it.
 * @throws CancelledError; LockError when locks do not work here
 */
export async function acquireLock(path: string, options: LockOptions = {}): Promise<Lock> {
  let waited = false;
  for (;;) {
    throwIfCancelled(options.signal);
    const file = await openLockFile(path);
    try {
      if (!(await flock(file, ['--nonblock']))) {
        if (!waited) options.onWait?.();
        waited = true;
        await waitFor(file, options);
      }
      // A collector may have removed the file between open and flock: then the lock protects nothing.
      if (await isStill(path, file)) return await diary(path, file);
    } catch (error) {
      await file.close();
      throw error;
    }
    await file.close();
  }
}

async function waitFor(file: FileHandle, options: LockOptions): Promise<void> {
  const notes = options.onNote && followNotes(file, options.onNote);
  try {
    await flock(file, [], options.signal);
  } finally {
    await notes?.stop();
  }
}

/** The held lock, its file emptied of what the last holder noted. */
async function diary(path: string, file: FileHandle): Promise<Lock> {
  await file.truncate(0);
  let position = 0;
  return {
    path,
    fd: file.fd,
    note: async (line) => {
      const bytes = Buffer.from(`${line}\n`);
      const offset = position;
      position += bytes.length;
      await file.write(bytes, 0, bytes.length, offset);
    },
    release: () => file.close(),
  };
}

const LOCK_FILE = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * Opens the file of a lock. It is not removed on release: the next process would lock another file of the same name.
 * The holder empties the file, so it must be a lock's, and not something else that was put in its place.
 */
async function openLockFile(path: string): Promise<FileHandle> {
  const file = await open(path, LOCK_FILE, 0o666).catch((error: unknown) => {
    throw errnoOf(error) === 'ELOOP' ? foreign(path, 'a symbolic link') : error;
  });
  const found = await file.stat();
  if (found.isFile() && found.nlink <= 1) return file;
  await file.close();
  throw foreign(path, found.isFile() ? 'a hard link to a file elsewhere' : 'not a regular file');
}

function foreign(path: string, what: string): LockError {
  return new LockError('LOCK_FAILED', `the lock ${path} is ${what}`, {
    hint: 'find out who put it there, and remove it',
  });
}

async function isStill(path: string, file: FileHandle): Promise<boolean> {
  const mine = await file.stat();
  try {
    const named = await lstat(path);
    return named.ino === mine.ino && named.dev === mine.dev;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/** Runs flock(1) on an open file; false when `--nonblock` was given and somebody else has the lock. */
async function flock(file: FileHandle, options: readonly string[], signal?: AbortSignal): Promise<boolean> {
  // Loaded when it is needed: a render that changes nothing takes no lock.
  const { spawn } = await import('node:child_process');
  const code = await new Promise<number>((resolve, reject) => {
    const child = spawn('flock', ['--exclusive', ...options, '3'], {
      stdio: ['ignore', 'ignore', 'ignore', file.fd],
      ...(signal ? { signal } : {}),
    });
    child.once('error', reject);
    child.once('exit', (status) => resolve(status ?? -1));
  }).catch((error: unknown) => {
    throwIfCancelled(signal);
    throw new LockError('LOCK_FAILED', 'cannot run flock', {
      cause: error,
      hint: 'install the Debian package util-linux',
    });
  });
  if (code === 0) return true;
  if (code === 1 && options.includes('--nonblock')) return false;
  throw new LockError('LOCK_FAILED', `flock failed with exit status ${code}`, {
    hint: 'use a file system that supports flock(2)',
  });
}

function followNotes(file: FileHandle, onNote: (line: string) => void): { stop(): Promise<void> } {
  let offset = 0;
  let pending = '';
  const look = async () => {
    const { size } = await file.stat();
    if (size < offset) offset = 0;
    if (size === offset) return;
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - offset), 0, size - offset, offset);
    offset += bytesRead;
    const lines = (pending + buffer.subarray(0, bytesRead).toString('utf8')).split('\n');
    pending = lines.pop() ?? '';
    for (const line of lines) onNote(line);
  };
  let looking: Promise<void> = look();
  const timer = setInterval(() => {
    looking = looking.then(look);
  }, NOTE_INTERVAL);
  return {
    stop: async () => {
      clearInterval(timer);
      await looking;
    },
  };
}

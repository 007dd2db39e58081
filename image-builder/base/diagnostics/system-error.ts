// What the operating system refuses anywhere: not a fault of the program, so it is reported without a stack.
import { tmpdir } from 'node:os';
import { errnoOf } from './errno.ts';

/** The next step, by error number. */
const HINTS: Record<string, string> = {
  ENOSPC: 'free space there, or name another directory',
  EDQUOT: 'free space there, or name another directory',
  EMFILE: 'raise the limit of open files: ulimit -n 4096',
  ENFILE: 'the machine has too many open files',
  ENOMEM: 'free memory, or run on a machine that has more',
  EROFS: 'name a writable directory',
  EACCES: 'run as a user with permission, or name another location',
  EPERM: 'run as a user with permission, or name another location',
};

/** Message and hint for a system call that failed; undefined for every other error. */
export function describeSystemError(error: unknown): string | undefined {
  const number = errnoOf(error);
  if (number === undefined) return undefined;
  const { message, syscall, path } = error as NodeJS.ErrnoException;
  if (syscall === 'uv_cwd' || syscall === 'getcwd')
    return 'the working directory no longer exists\nhint: change to one that does';
  const hint = number === 'ENOENT' && isTemporary(path) ? missingTmpdir() : HINTS[number];
  return hint === undefined ? message : `${message}\nhint: ${hint}`;
}

const isTemporary = (path: string | undefined) => path?.startsWith(`${tmpdir()}/`) ?? false;

const missingTmpdir = () => `does the directory for temporary files exist? TMPDIR=${tmpdir()}`;

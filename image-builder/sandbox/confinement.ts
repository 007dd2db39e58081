// A root directory of its own for commands that run what an image brings along: scripts of packages and of the spec. They
// are root there, and nobody on this machine.
import { existsSync, realpathSync } from 'node:fs';
import { CONFINE } from './confine.ts';

/** What a confined command sees beside the programs of this machine, and may do. */
export interface Confinement {
  /** Directories that it may change; absolute. */
  writable: readonly string[];
  /** Directories that it may read; absolute. */
  readable?: readonly string[];
  /** Whether it has this machine's network; default: none, not even a loopback device. */
  network?: boolean;
}

/** Directories of the machine's programs. */
const PROGRAMS = ['usr', 'bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32'];

/** Whether a confined command sees the programs of a directory of PATH. */
export const isVisible = (directory: string): boolean =>
  PROGRAMS.some((name) => `${directory}/`.startsWith(`/${name}/`));

/** Flags of unshare(1) for a confined command, beside those for mounts and processes. */
export const confinedNamespaces = ({ network = false }: Confinement): string[] => [
  '--uts',
  '--ipc',
  ...(network ? [] : ['--net']),
];

/**
 * Prefix of a command that runs in the root directory, and in a user namespace in it; for the root of a new mount and PID
 * namespace.
 * @param python path of python3
 * @param cwd where the command starts; it must be visible
 */
export function confinedPrefix(
  { writable, readable = [] }: Confinement,
  python: string,
  cwd = '/',
): string[] {
  const view = {
    root: scaffold([...writable, ...readable]),
    cwd,
    programs: PROGRAMS,
    writable,
    readable,
  };
  return [python, '-ISc', CONFINE, JSON.stringify(view)];
}

/** An existing directory to mount the root directory on; it must hide nothing of what goes into that. */
function scaffold(sources: readonly string[]): string {
  const real = sources.map((path) => {
    try {
      return realpathSync(path);
    } catch {
      // Only the sandbox sees it.
      return path;
    }
  });
  const isFree = (directory: string) =>
    existsSync(directory) && !real.some((path) => `${path}/`.startsWith(`${directory}/`));
  return ['/mnt', '/media', '/srv', '/home', '/tmp'].find(isFree) ?? '/mnt';
}

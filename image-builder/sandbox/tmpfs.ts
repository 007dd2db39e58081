// A file system in memory for unpacked trees, of tens of thousands of files each: making them on a disk takes most of
// the time of a build that only changes configuration (docs/explanation/builds.md).
//
// It is mounted in a mount namespace held by a process that dies with this one: whatever happens, nothing stays
// behind, and removing a tree is freeing memory. Only commands of the sandbox see it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toolEnvironment } from './environment.ts';
import { closeNamespaces, holderCommand, joinSandbox, namespacesOf } from './local-sandbox.ts';
import type { Sandbox } from './sandbox.ts';

/** Memory that stages may use for trees. */
export interface Memory {
  /** Runs commands that see it. */
  readonly sandbox: Sandbox;
  /**
   * Sets about that many bytes aside.
   * @returns a new directory, or undefined when there is not enough left
   */
  reserve(bytes: number): Promise<string | undefined>;
  /** Whether the cause of `error` is that the memory is full. */
  explains(error: unknown): Promise<boolean>;
  /** Gives a directory back that was reserved; what is in it goes when the memory is needed, or closed. */
  free(directory: string): void;
  /** Frees all of it. */
  close(): Promise<void>;
}

/**
 * Mounts a file system in memory for at most so many bytes.
 * @param directory where commands will see it; made when absent
 * @returns undefined where nothing can be mounted or programs are emulated, where /proc is another PID namespace's, and where
 *   the kernel's tmpfs does not keep all extended attributes (before Linux 6.6)
 */
export async function openMemory(
  sandbox: Sandbox,
  directory: string,
  bytes: number,
): Promise<Memory | undefined> {
  const { mode, emulates = false } = sandbox;
  if (mode === 'plain' || emulates || bytes <= 0) return undefined;
  await mkdir(directory, { recursive: true });
  const [file = '', ...prefix] = holderCommand(mode);
  const holder = spawn(file, [...prefix, 'sh', '-euc', HOLD, 'sh', directory, `${bytes}`], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: toolEnvironment(process.env),
    detached: true,
  });
  const ended = once(holder, 'close').catch(() => {});
  const ready = await Promise.race([once(holder.stdout, 'data').then(() => true), ended.then(() => false)]);
  const namespaces = ready && holder.pid !== undefined ? namespacesOf(mode, holder.pid) : undefined;
  const close = async () => {
    holder.stdin.end();
    await ended;
    if (namespaces) closeNamespaces(namespaces);
  };
  if (namespaces) return new MountedMemory(joinSandbox(namespaces), directory, bytes, close);
  await close();
  return undefined;
}

// The mount vanishes when standard input ends, at the latest when the process on the other side dies.
const HOLD = `
mount -t tmpfs -o "mode=755,size=$2" image-builder "$1"
: > "$1/trial"
python3 -ISc 'import os, sys; os.setxattr(sys.argv[1], "user.trial", b"")' "$1/trial"
rm "$1/trial"
echo ready
exec cat`;

class MountedMemory implements Memory {
  readonly sandbox: Sandbox;
  readonly close: () => Promise<void>;
  readonly #directory: string;
  readonly #reserved = new Map<string, number>();
  /** Directories that may go: removing a tree takes a second, closing everything nearly no time. */
  readonly #freed: string[] = [];
  #left: number;
  #count = 0;

  constructor(sandbox: Sandbox, directory: string, bytes: number, close: () => Promise<void>) {
    this.sandbox = sandbox;
    this.#directory = directory;
    this.#left = bytes;
    this.close = close;
  }

  async reserve(bytes: number): Promise<string | undefined> {
    if (bytes > this.#left) await this.#remove(this.#freed.splice(0));
    if (bytes > this.#left) return undefined;
    this.#left -= bytes;
    this.#count += 1;
    const directory = join(this.#directory, `${this.#count}`);
    this.#reserved.set(directory, bytes);
    await this.sandbox.run(['mkdir', directory]);
    return directory;
  }

  free(directory: string): void {
    this.#freed.push(directory);
  }

  async #remove(directories: readonly string[]): Promise<void> {
    if (directories.length === 0) return;
    await this.sandbox.run(['rm', '-rf', '--', ...directories]);
    for (const directory of directories) {
      this.#left += this.#reserved.get(directory) ?? 0;
      this.#reserved.delete(directory);
    }
  }

  async explains(error: unknown): Promise<boolean> {
    if (/No space left on device/.test(textOf(error))) return true;
    await this.#remove(this.#freed.splice(0));
    const free = await this.sandbox.run(['stat', '--file-system', '--format=%a', this.#directory]);
    return Number(free) === 0;
  }
}

/** Everything that an error and its causes say. */
function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { output } = error as { output?: readonly string[] };
  return [error.message, ...(output ?? []), ...(error.cause ? [textOf(error.cause)] : [])].join('\n');
}

/** Bytes that a build may fill: half of what the machine has left, and of what control groups leave. */
export async function spareMemory(): Promise<number> {
  const meminfo = await readText('/proc/meminfo');
  const machine = Number(/^MemAvailable:\s+(\d+) kB$/m.exec(meminfo)?.[1] ?? 0) * 1024;
  const groups = controlGroups(await readText('/proc/self/cgroup'));
  return Math.floor(Math.min(machine, ...(await Promise.all(groups.map(leftOf)))) / 2);
}

/** Files with the limit and the usage of memory of a control group, in bytes. */
interface GroupFiles {
  limit: string;
  used: string;
}

/**
 * The control groups that limit a process, its own and those above it, of versions 2 and 1.
 * @param membership text of /proc/self/cgroup; see cgroups(7)
 */
export function controlGroups(membership: string): GroupFiles[] {
  return membership.split('\n').flatMap((line) => {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (path === undefined || controllers === undefined) return [];
    const isMemory = controllers.split(',').includes('memory');
    if (controllers !== '' && !isMemory) return [];
    const names = path.split('/').filter((name) => name !== '');
    const root = isMemory ? '/sys/fs/cgroup/memory' : '/sys/fs/cgroup';
    const [limit, used] = isMemory
      ? ['memory.limit_in_bytes', 'memory.usage_in_bytes']
      : ['memory.max', 'memory.current'];
    return Array.from({ length: names.length + 1 }, (_, depth) => {
      const group = join(root, ...names.slice(0, depth));
      return { limit: join(group, limit), used: join(group, used) };
    });
  });
}

async function leftOf({ limit, used }: GroupFiles): Promise<number> {
  // `max`, or no such file: no limit.
  const left = Number((await readText(limit)) || 'max') - Number(await readText(used));
  return Number.isNaN(left) ? Number.POSITIVE_INFINITY : Math.max(left, 0);
}

const readText = (file: string) => readFile(file, 'utf8').catch(() => '');

// Runs a program as root of a user namespace in a Pod that has one: what it may do there no capability of the Pod has to grant,
// so mounting needs neither SYS_ADMIN nor a privileged Pod. All ids of the Pod are mapped (user_namespaces(7)): packages have
// files of many owners.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, readlink, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { ClusterError } from '../../cluster/cluster-error.ts';

/** How long a process may take until it is in its namespace, in milliseconds. */
const PATIENCE = 10_000;

/**
 * @returns its exit status
 * @throws ClusterError CLUSTER_UNSUITABLE where no user namespace can be made
 */
export async function runInUserNamespace(command: readonly string[], signal: AbortSignal): Promise<number> {
  // Its program starts when the ids are mapped: until then it is nobody.
  const wait = ['sh', '-c', 'read -r _ && exec "$0" "$@"'];
  const child = spawn('unshare', ['--user', '--', ...wait, ...command], {
    stdio: ['pipe', 'inherit', 'inherit'],
  });
  const ended = once(child, 'close');
  const stop = () => child.kill('SIGTERM');
  signal.addEventListener('abort', stop, { once: true });
  try {
    await mapAllIds(child);
    child.stdin?.end('\n');
    const [status] = await ended;
    return typeof status === 'number' ? status : KILLED;
  } catch (cause) {
    child.kill('SIGKILL');
    throw new ClusterError('CLUSTER_UNSUITABLE', 'this Pod can make no user namespace', {
      cause,
      hint: 'set spec.build.executor.kubernetes.privileges to none',
    });
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** What a shell says of a program that a signal has ended (SIGKILL). */
const KILLED = 137;

async function mapAllIds({ pid, exitCode }: ChildProcess): Promise<void> {
  const own = await readlink('/proc/self/ns/user');
  const theirs = () => readlink(`/proc/${pid}/ns/user`).catch(() => own);
  for (const began = performance.now(); (await theirs()) === own; await delay(5)) {
    if (pid === undefined || exitCode !== null || performance.now() - began > PATIENCE)
      throw new Error('unshare --user does not work');
  }
  for (const map of ['gid_map', 'uid_map']) {
    const ranges = (await readFile(`/proc/self/${map}`, 'utf8')).trim().split('\n');
    const lines = ranges.map((range) => range.trim().split(/\s+/));
    // What they are outside of the Pod is no business of this one: here, every id becomes itself.
    const text = lines.map(([inside = '', , count = '']) => `${inside} ${inside} ${count}`).join('\n');
    await writeFile(`/proc/${pid}/${map}`, `${text}\n`);
  }
}

// podman with storage of its own, as root or as an ordinary user.
import { chmod, chown, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type CommandResult, run } from './docker.ts';

/** Who runs podman. */
export interface PodmanUser {
  name: string;
  uid: number;
  gid: number;
}

/** podman, set up. */
export interface Podman {
  /** Runs any command as podman's user, in podman's environment. */
  run(
    argv: readonly string[],
    options?: { cwd?: string; environment?: NodeJS.ProcessEnv },
  ): Promise<CommandResult>;
  /** The same as a command line, for who starts it differently. */
  command(argv: readonly string[]): { argv: string[]; environment: NodeJS.ProcessEnv };
  /** Names of the containers that exist. */
  containers(): Promise<string>;
  dispose(): Promise<void>;
}

/**
 * Sets podman up in `directory`.
 * @param user undefined: as who runs the tests
 */
export async function usePodman(directory: string, user?: PodmanUser): Promise<Podman> {
  const place = (name: string) => join(directory, name);
  for (const name of ['home', 'run']) await mkdir(place(name), { recursive: true });
  await writeFile(
    place('storage.conf'),
    `[storage]\ndriver = "overlay"\ngraphroot = "${place('graph')}"\nrunroot = "${place('run/containers')}"\n`,
  );
  // runc: crun refuses cgroups in hybrid mode. Limits: podman's own are above what some machines allow.
  await writeFile(
    place('containers.conf'),
    '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n',
  );
  if (user) {
    for (const path of ['.', 'home', 'run', 'storage.conf', 'containers.conf'].map(place))
      await chown(path, user.uid, user.gid);
    for (let path = directory; path !== '/'; path = dirname(path))
      await chmod(path, path === '/tmp' ? 0o1777 : 0o755);
  }
  const { DOCKER_HOST: _, ...inherited } = process.env;
  const environment: NodeJS.ProcessEnv = {
    ...inherited,
    CONTAINERS_CONF: place('containers.conf'),
    CONTAINERS_STORAGE_CONF: place('storage.conf'),
    ...(user && { HOME: place('home'), XDG_RUNTIME_DIR: place('run'), USER: user.name }),
  };
  const asUser = user ? ['setpriv', `--reuid=${user.uid}`, `--regid=${user.gid}`, '--init-groups', '--'] : [];
  const podman: Podman = {
    command: (argv) => ({ argv: [...asUser, ...argv], environment }),
    run: (argv, options = {}) => {
      const [file = '', ...args] = [...asUser, ...argv];
      return run(file, args, {
        cwd: options.cwd ?? directory,
        env: { ...environment, ...options.environment },
      });
    },
    containers: async () =>
      (await podman.run(['podman', 'ps', '--all', '--format', '{{.Names}}'])).stdout.trim(),
    dispose: async () => {
      await podman.run(['podman', 'rm', '--all', '--force']);
      // An ordinary user's podman keeps its user namespace by a process that waits.
      const pause = await readFile(place('run/libpod/tmp/pause.pid'), 'utf8').catch(() => '');
      if (/^\d+$/.test(pause.trim())) process.kill(Number(pause), 'SIGTERM');
      const mounts = (await readFile('/proc/self/mounts', 'utf8'))
        .split('\n')
        .map((line) => line.split(' ')[1] ?? '');
      for (const mount of mounts.filter((path) => path.startsWith(`${directory}/`)).reverse())
        await run('umount', ['--lazy', mount]);
      await rm(directory, { recursive: true, force: true });
    },
  };
  return podman;
}

// A Docker Engine for the tests: the one that is there, or one of their own that leaves nothing behind. No image can be
// taken for granted, so base images are made from what the machine has.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { copyFile, cp, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const root = resolve(__dirname, '../../..');
const exec = promisify(execFile);
const MAX_OUTPUT = 64 * 1024 * 1024;

/** How a command ended. */
export interface CommandResult {
  status: number;
  stdout: string;
  stderr: string;
}

/** Runs a command to its end, whatever its exit status is. */
export function run(
  file: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv; input?: string | Buffer; signal?: AbortSignal } = {},
): Promise<CommandResult> {
  return new Promise((done, fail) => {
    const child = execFile(
      file,
      args,
      {
        maxBuffer: MAX_OUTPUT,
        ...(options.cwd ? { cwd: options.cwd } : {}),
        env: options.env ?? process.env,
        ...(options.signal ? { signal: options.signal } : {}),
      },
      (error, stdout, stderr) => {
        const code = (error as { code?: number | string } | null)?.code;
        if (error && typeof code !== 'number' && !error.killed) fail(error);
        else done({ status: typeof code === 'number' ? code : error ? 137 : 0, stdout, stderr });
      },
    );
    // A command that reads no input may be gone before it is written.
    child.stdin?.on('error', () => {});
    child.stdin?.end(options.input ?? '');
  });
}

/** A container engine that answers. */
export interface DockerEngine {
  /** Environment in which `docker` reaches it; what kustomize and kpt are started with. */
  environment: NodeJS.ProcessEnv;
  /** Runs `docker` and returns its standard output; throws with its standard error. */
  docker(args: readonly string[], options?: { input?: string | Buffer; cwd?: string }): Promise<string>;
  /** Stops an engine that the tests started, and removes its storage. */
  stop(): Promise<void>;
}

function connect(environment: NodeJS.ProcessEnv, stop: () => Promise<void>): DockerEngine {
  return {
    environment,
    stop,
    async docker(args, options = {}) {
      const result = await run('docker', args, { ...options, env: environment });
      if (result.status !== 0)
        throw new Error(`docker ${args.join(' ')}\n${result.stdout}\n${result.stderr}`);
      return result.stdout;
    },
  };
}

/** The engine that `docker` reaches, or a dockerd with its own storage (this needs root). */
export async function useDocker(): Promise<DockerEngine> {
  const present = await run('docker', ['info', '--format', '{{.ServerVersion}}']);
  if (present.status === 0 && present.stdout.trim() !== '') return connect(process.env, async () => {});

  const directory = await mkdtemp(join(tmpdir(), 'image-builder-dockerd-'));
  const host = `unix://${directory}/docker.sock`;
  // A bridge of its own: `--bridge none` and the default both interfere with a daemon that runs besides. Without
  // firewall rules, containers reach the world by the host's network only, as kustomize's functions do.
  const bridge = `ibt${process.pid}`;
  await exec('ip', ['link', 'add', bridge, 'type', 'bridge']);
  await exec('ip', ['address', 'add', `198.18.${process.pid % 256}.1/24`, 'dev', bridge]);
  const daemon = spawn(
    'dockerd',
    [
      ...['--data-root', `${directory}/data`, '--exec-root', `${directory}/exec`, '--host', host],
      ...['--pidfile', `${directory}/pid`, '--bridge', bridge, '--iptables=false', '--ip-forward=false'],
    ],
    { stdio: 'ignore' },
  );
  const stop = () => stopDaemon(daemon, directory, bridge);
  const engine = connect({ ...process.env, DOCKER_HOST: host }, stop);
  for (let attempt = 0; attempt < 150; attempt++) {
    if (daemon.exitCode !== null) break;
    const info = await run('docker', ['info', '--format', '{{.ServerVersion}}'], { env: engine.environment });
    if (info.status === 0 && info.stdout.trim() !== '') return engine;
    await sleep(200);
  }
  await stop();
  throw new Error('dockerd does not start here; it needs root, cgroups and overlayfs');
}

async function stopDaemon(daemon: ChildProcess, directory: string, bridge: string): Promise<void> {
  if (daemon.exitCode === null) {
    const exited = new Promise((done) => daemon.once('exit', done));
    daemon.kill('SIGTERM');
    await exited;
  }
  await exec('ip', ['link', 'delete', bridge]);
  // dockerd leaves the network namespace of host networking mounted.
  const mounts = (await readFile('/proc/self/mounts', 'utf8'))
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '');
  for (const mount of mounts.filter((path) => path.startsWith(`${directory}/`)).reverse()) {
    await exec('umount', [mount]);
  }
  await rm(directory, { recursive: true, force: true });
}

/** Prefix of all images that the tests make; on an engine that they found, those with a Debian base stay as a cache. */
export const TEST_PREFIX = 'localhost/image-builder-test';

async function hasImage(engine: DockerEngine, tag: string): Promise<boolean> {
  const inspected = await run('docker', ['image', 'inspect', tag], { env: engine.environment });
  return inspected.status === 0;
}

/** Copies an executable with the libraries that it is linked with. */
async function copyWithLibraries(executable: string, target: string, tree: string): Promise<void> {
  const { stdout } = await exec('ldd', [executable]);
  await mkdir(dirname(join(tree, target)), { recursive: true });
  await copyFile(executable, join(tree, target));
  for (const [, library] of stdout.matchAll(/(\/\S+) \(0x/g)) {
    if (library === undefined) continue;
    await mkdir(dirname(join(tree, library)), { recursive: true });
    await cp(library, join(tree, library), { dereference: true });
  }
}

/**
 * What an alpine image with Node is, made of busybox-static and the node that runs the tests: sh, cp, sed, env, node
 * and a passwd with nobody. Serves as the base of `function` and as the image that `builder` takes node from.
 */
export async function nodeBase(engine: DockerEngine): Promise<string> {
  const tag = `${TEST_PREFIX}/node-base:${process.version}`;
  if (await hasImage(engine, tag)) return tag;
  const tree = await mkdtemp(join(tmpdir(), 'image-builder-base-'));
  try {
    for (const directory of ['bin', 'etc', 'usr/bin', 'usr/local/bin']) {
      await mkdir(join(tree, directory), { recursive: true });
    }
    await mkdir(join(tree, 'tmp'), { mode: 0o1777 });
    await exec('chmod', ['1777', join(tree, 'tmp')]);
    await copyFile('/bin/busybox', join(tree, 'bin/busybox'));
    for (const applet of ['sh', 'cp', 'sed', 'ls', 'cat', 'id', 'touch', 'sleep', 'rm', 'mkdir']) {
      await symlink('busybox', join(tree, 'bin', applet));
    }
    await symlink('/bin/busybox', join(tree, 'usr/bin/env'));
    await copyWithLibraries(process.execPath, '/usr/local/bin/node', tree);
    // Alpine's busybox has it, Debian's has not.
    await copyWithLibraries('/usr/bin/flock', '/usr/bin/flock', tree);
    await writeFile(
      join(tree, 'etc/passwd'),
      'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n',
    );
    await writeFile(join(tree, 'etc/group'), 'root:x:0:\nnobody:x:65534:\n');
    await importTree(engine, tag, tree);
    return tag;
  } finally {
    await rm(tree, { recursive: true, force: true });
  }
}

async function importTree(engine: DockerEngine, tag: string, tree: string): Promise<void> {
  const archive = `${tree}.tar`;
  try {
    await exec('tar', [
      '--create',
      '--file',
      archive,
      '--owner=0',
      '--group=0',
      '--numeric-owner',
      '-C',
      tree,
      '.',
    ]);
    await importArchive(engine, tag, archive);
  } finally {
    await rm(archive, { force: true });
  }
}

async function importArchive(engine: DockerEngine, tag: string, archive: string): Promise<void> {
  const path = 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  await engine.docker(['import', '--change', path, archive, tag]);
}

/** The mirror that this machine's apt takes a release from. */
export async function aptMirror(codename: string): Promise<string> {
  const format = '$(REPO_URI) $(RELEASE)';
  const { stdout } = await exec('apt-get', ['indextargets', '--format', format, 'Created-By: Packages']);
  const line = stdout.split('\n').find((candidate) => candidate.endsWith(` ${codename}`));
  if (line === undefined) throw new Error(`apt of this machine has no repository of ${codename}`);
  return (line.split(' ')[0] ?? '').replace(/\/$/, '');
}

/** The release of this machine. */
export async function hostCodename(): Promise<string> {
  const osRelease = await readFile('/etc/os-release', 'utf8');
  return /^VERSION_CODENAME=(\w+)$/m.exec(osRelease)?.[1] ?? 'bookworm';
}

/** A minimal Debian of this machine's own release, from its mirror; kept in .cache for a day. */
export async function debianBase(engine: DockerEngine): Promise<string> {
  const codename = await hostCodename();
  const tag = `${TEST_PREFIX}/debian-base:${codename}`;
  if (await hasImage(engine, tag)) return tag;
  const archive = join(root, '.cache', `debian-base-${codename}.tar`);
  const age = await stat(archive).then(
    ({ mtimeMs }) => Date.now() - mtimeMs,
    () => Number.POSITIVE_INFINITY,
  );
  if (age > 24 * 60 * 60 * 1000) {
    await mkdir(dirname(archive), { recursive: true });
    const mirror = await aptMirror(codename);
    await exec(
      'mmdebstrap',
      ['--variant=minbase', '--quiet', codename, `${archive}.part`, '--format=tar', mirror],
      {
        maxBuffer: MAX_OUTPUT,
      },
    );
    await exec('mv', [`${archive}.part`, archive]);
  }
  await importArchive(engine, tag, archive);
  return tag;
}

/**
 * The client that builds with BuildKit, which skips the stages that a target does not need: `docker` with buildx, or
 * Debian's older client with BuildKit built in. Undefined: only the classic builder is there.
 */
async function buildkitClient(engine: DockerEngine): Promise<string | undefined> {
  for (const client of ['docker', '/usr/bin/docker']) {
    const help = await run(client, ['build', '--help'], {
      env: { ...engine.environment, DOCKER_BUILDKIT: '1' },
    }).catch(() => undefined);
    if (help?.stdout.includes('--secret')) return client;
  }
  return undefined;
}

/** How a target of the Dockerfile is built here: on bases that are made on the spot, by the client that can do most. */
export async function buildOptions(
  engine: DockerEngine,
  target: string,
): Promise<{ client: string; environment: NodeJS.ProcessEnv; options: string[] }> {
  const node = await nodeBase(engine);
  const bases: Record<string, string> = { FUNCTION_BASE: node, NODE_BASE: node };
  if (target.includes('builder')) bases.BUILDER_BASE = await debianBase(engine);
  const client = await buildkitClient(engine);
  return {
    client: client ?? 'docker',
    environment: { ...engine.environment, DOCKER_BUILDKIT: client ? '1' : '0' },
    options: [
      ...['--network', 'host'],
      ...Object.entries(bases).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]),
    ],
  };
}

/** Builds a target of the Dockerfile from dist/ as it is, and returns the image's tag. */
export async function buildTarget(
  engine: DockerEngine,
  target: 'function' | 'builder' | 'bundle',
  options: { context?: string; tag?: string } = {},
): Promise<string> {
  const tag = options.tag ?? `${TEST_PREFIX}/${target}:latest`;
  const build = await buildOptions(engine, target);
  const result = await run(
    build.client,
    [
      ...['build', '--target', target, '--tag', tag, ...build.options],
      ...['--file', join(root, 'Dockerfile'), options.context ?? root],
    ],
    { env: build.environment },
  );
  if (result.status !== 0) throw new Error(`building ${target} failed:\n${result.stdout}\n${result.stderr}`);
  return tag;
}

/**
 * Builds the `bundle` target with this content, as the make target does: the function and its bundle's files.
 * @param content texts of the files by their path in the image, for example `/profiles/profile_multistrap.json`.
 */
export async function buildBundleImage(
  engine: DockerEngine,
  content: Record<string, string>,
  tag: string,
): Promise<string> {
  const context = await mkdtemp(join(tmpdir(), 'image-builder-context-'));
  try {
    await cp(join(root, 'dist'), join(context, 'dist'), { recursive: true });
    await cp(join(root, '.dockerignore'), join(context, '.dockerignore'));
    for (const [path, text] of Object.entries(content)) {
      await mkdir(dirname(join(context, 'bundle', path)), { recursive: true });
      await writeFile(join(context, 'bundle', path), text);
    }
    return await buildTarget(engine, 'bundle', { context, tag });
  } finally {
    await rm(context, { recursive: true, force: true });
  }
}

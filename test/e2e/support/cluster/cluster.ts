// A real cluster for the tests, of one node or two, as cluster.sh starts it: root is needed. Tests put what Pods shall reach (a
// registry, a mirror of Debian) on its `address`; Pods reach nothing else, and there is no DNS.
import { type ChildProcess, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRegistry, type TestRegistry } from '../registry.ts';

const programs = join(__dirname, '../../../../.cache/kubernetes/1.37-control-plane');
const START_SECONDS = 180;

/** A cluster that runs. */
export interface TestCluster {
  /** Of this machine, as Pods and the node see it. */
  address: string;
  /** File of the administrator's: the user `admin`. */
  kubeconfig: string;
  /** Process that everything of it ends with. */
  pid: number;
  /** Runs kubectl as the administrator. @throws Error with what it has printed, unless `status` may be another */
  kubectl(args: readonly string[], options?: KubectlOptions): Promise<CommandResult>;
  /** File of an account of the cluster's, by its token. */
  kubeconfigOf(account: { namespace: string; name: string }): Promise<string>;
  /** Lets the node pull from a registry of the tests by TLS. */
  trustRegistry(registry: TestRegistry): void;
  /** A port of `address` that leads to a port elsewhere, such as a mirror's; until the cluster is stopped. */
  relay(target: { host: string; port: number }): Promise<number>;
  /** Kills the API server, which comes back after 15 seconds. */
  killApiServer(): void;
  /** Ends everything of it. */
  stop(): Promise<void>;
}

export interface KubectlOptions {
  /** Goes to standard input: a string, or objects as JSON. */
  input?: string | object;
  /** Any exit status is a result. */
  mayFail?: boolean;
  /** Somebody else's file, such as of `kubeconfigOf`. */
  kubeconfig?: string;
}

export interface CommandResult {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** Starts a cluster; `stop` it. It ends with this process in any case. @throws Error with the last lines of what failed */
export async function startCluster(nodes: 1 | 2 = 1): Promise<TestCluster> {
  const directory = mkdtempSync(join(tmpdir(), 'image-builder-cluster-'));
  // The supervisor removes the directory, and ends when its standard input does. Interrupts are for this process alone.
  const supervisor = spawn(join(__dirname, 'cluster.sh'), [directory, `${nodes}`], {
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
  const said = collect(supervisor);
  const ended = new Promise<void>((done) => supervisor.once('close', () => done()));
  const relays = new Set<{ close(): void }>();
  const stop = async () => {
    for (const relay of relays) relay.close();
    supervisor.stdin.end();
    await ended;
  };
  try {
    const deadline = performance.now() + START_SECONDS * 1000;
    while (!existsSync(join(directory, 'ready'))) {
      if (supervisor.exitCode !== null || performance.now() > deadline)
        throw new Error(`the cluster does not start:\n${said.stdout}\n${said.stderr}`);
      await new Promise((done) => setTimeout(done, 100));
    }
  } catch (error) {
    await stop();
    throw error;
  }
  const address = readFileSync(join(directory, 'address'), 'utf8').trim();
  const kubeconfig = join(directory, 'admin.conf');
  return {
    address,
    kubeconfig,
    pid: supervisor.pid ?? 0,
    kubectl: (args, options) => kubectl(args, { kubeconfig, ...options }),
    async kubeconfigOf({ namespace, name }) {
      const created = await kubectl(['create', 'token', name, '--namespace', namespace], { kubeconfig });
      const file = join(directory, `${namespace}-${name}.conf`);
      const admin = readFileSync(kubeconfig, 'utf8');
      const config = admin.replace(/^users: .*$/m, () => {
        const user = { name: 'admin', user: { token: created.stdout.trim() } };
        return `users: ${JSON.stringify([user])}`;
      });
      writeFileSync(file, config, { mode: 0o600 });
      return file;
    },
    trustRegistry: ({ host, url, caFile }) => {
      const settings = join(directory, 'certs.d', host);
      mkdirSync(settings, { recursive: true });
      // https://github.com/containerd/containerd/blob/main/docs/hosts.md
      const ca = caFile ? `ca = ${JSON.stringify(caFile)}\n` : '';
      writeFileSync(join(settings, 'hosts.toml'), `server = ${JSON.stringify(url)}\n${ca}`);
    },
    relay: (target) => relay(address, target, relays),
    killApiServer() {
      const own = ([program]: string[], id: string) =>
        program === 'kube-apiserver' && readlinkSync(`/proc/${id}/cwd`) === directory;
      for (const id of processes(own)) process.kill(id, 'SIGKILL');
    },
    stop,
  };
}

/** A registry that Pods, the node and this machine reach by the same name, by TLS and with a password. */
export async function startClusterRegistry(
  cluster: TestCluster,
  login: { username: string; password: string },
): Promise<TestRegistry> {
  const registry = await startRegistry({ address: cluster.address, tls: true, htpasswd: login });
  cluster.trustRegistry(registry);
  return registry;
}

/** Content of a Secret of type `kubernetes.io/dockerconfigjson`, and of a file that REGISTRY_AUTH_FILE names. */
export function dockerConfig(host: string, { username, password }: { username: string; password: string }) {
  const auth = Buffer.from(`${username}:${password}`).toString('base64');
  return JSON.stringify({ auths: { [host]: { auth } } });
}

async function kubectl(
  args: readonly string[],
  { kubeconfig, input, mayFail = false }: KubectlOptions & { kubeconfig: string },
): Promise<CommandResult> {
  const child = spawn(join(programs, 'kubectl'), ['--kubeconfig', kubeconfig, ...args]);
  const said = collect(child);
  const ended = new Promise<void>((done) => child.once('close', () => done()));
  child.stdin.on('error', () => {});
  child.stdin.end(typeof input === 'object' ? JSON.stringify(input) : input);
  await ended;
  if (child.exitCode !== 0 && !mayFail)
    throw new Error(`kubectl ${args.join(' ')}\n${said.stdout}\n${said.stderr}`);
  return { status: child.exitCode, ...said };
}

/** Processes of this machine and of the namespaces in it, by their command line. */
export function processes(isWanted: (command: string[], id: string) => boolean): number[] {
  const ids = readdirSync('/proc').filter((id) => /^\d+$/.test(id));
  return ids
    .filter((id) => {
      try {
        return isWanted(readFileSync(`/proc/${id}/cmdline`, 'utf8').split('\0'), id);
      } catch {
        // It has ended meanwhile.
        return false;
      }
    })
    .map(Number);
}

function collect(child: ChildProcess): { stdout: string; stderr: string } {
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8');
    child[name]?.on('data', (text: string) => {
      said[name] += text;
    });
  }
  return said;
}

function relay(
  address: string,
  target: { host: string; port: number },
  relays: Set<{ close(): void }>,
): Promise<number> {
  return new Promise((done, failed) => {
    const server = createServer((incoming) => {
      const outgoing = connect(target);
      for (const [from, to] of [
        [incoming, outgoing],
        [outgoing, incoming],
      ] as const) {
        from.pipe(to);
        from.on('error', () => to.destroy());
      }
    });
    server.once('error', failed);
    server.listen(0, address, () => {
      relays.add(server);
      const listening = server.address();
      done(typeof listening === 'object' && listening ? listening.port : 0);
    });
  });
}

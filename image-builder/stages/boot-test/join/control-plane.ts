// A control plane on the building machine that a booted image joins: etcd, the API server and the controllers on loopback, with
// certificates and configuration by `kubeadm init phase`, as kubeadm makes those of every cluster. It ends with the test.
import { createHash, X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { throwIfCancelled } from '../../../base/diagnostics/cancelled.ts';
import type { ControlPlanePrograms } from '../../../sandbox/control-plane-programs.ts';
import { BootError } from '../boot-error.ts';
import { apiServerArguments, controllerArguments, etcdArguments } from './arguments.ts';
import { type Invitation, newToken } from './invitation.ts';
import { clusterInfo, initConfiguration } from './kubeadm-configuration.ts';
import { serveKubelet } from './kubelet-proxy.ts';
import { API_SERVER_ADDRESS, API_SERVER_PORT, freePorts, networkOptions, type Ports } from './network.ts';
import { privateUser } from './private-user.ts';
import { type CommandResult, Processes } from './processes.ts';

/** Until everything answers. It takes ten seconds, more on a machine that does other things. */
const START_SECONDS = 300;
const PHASE_SECONDS = 120;
const KEPT_LINES = 20;
const DAEMONS = ['etcd', 'kube-apiserver', 'kube-controller-manager'] as const;

/** A control plane that runs. */
export class ControlPlane {
  readonly invitation: Invitation;
  /** Of QEMU's user network. */
  readonly networkOptions: readonly string[];
  readonly #parts: Parts;

  private constructor(parts: Parts, invitation: Invitation, options: readonly string[]) {
    this.#parts = parts;
    this.invitation = invitation;
    this.networkOptions = options;
  }

  /** @throws BootError CONTROL_PLANE_FAILED with the last lines of what failed; what the signal says */
  static async start(
    programs: ControlPlanePrograms,
    step: (message: string) => void,
    signal?: AbortSignal,
  ): Promise<ControlPlane> {
    const user = privateUser();
    const ports = await freePorts();
    const directory = await mkdtemp(join(tmpdir(), 'image-builder-control-plane-'));
    const parts: Parts = { programs, directory, processes: new Processes(user, directory), ports, signal };
    try {
      await user.own(directory);
      await requireAccess(parts);
      const { stdout } = await mustRun(parts, 'kube-apiserver', ['--version']);
      const version = /v\d+\.\d+\.\S+/.exec(stdout)?.[0] ?? '';
      step(`start a control plane of Kubernetes ${version}`);
      parts.kubeletProxy = await serveKubelet(join(directory, 'kubelet.sock'), ports.kubelet);
      await user.own(join(directory, 'kubelet.sock'));
      const token = newToken();
      await makeCertificates(parts, version, token);
      await startDaemons(parts);
      await describeCluster(parts);
      const authority = await readFile(join(directory, 'pki/ca.crt'));
      const options = await networkOptions(directory, ports);
      const endpoint = `${API_SERVER_ADDRESS}:${API_SERVER_PORT}`;
      const invitation = { endpoint, token, authorityHash: publicKeyHash(authority) };
      return new ControlPlane(parts, invitation, options);
    } catch (error) {
      await stop(parts);
      throwIfCancelled(signal);
      throw error;
    }
  }

  /**
   * Runs kubectl as the administrator of the cluster.
   * @param options `input` goes to its standard input, as JSON; `signal` ends it
   * @throws BootError CONTROL_PLANE_FAILED when it is the control plane that has failed
   */
  async kubectl(
    args: readonly string[],
    options: { seconds: number; input?: object; signal: AbortSignal },
  ): Promise<CommandResult> {
    const { input, ...others } = options;
    const given = input === undefined ? {} : { input: JSON.stringify(input) };
    const result = await kubectl(this.#parts, args, { ...others, ...given });
    if (result.status !== 0 && !options.signal.aborted)
      await this.#parts.processes.requireRunning(...DAEMONS);
    return result;
  }

  /** A node of a machine that has ended would keep its name from the next one. */
  async forgetNode(name: string): Promise<void> {
    const args = ['delete', 'node', name, '--ignore-not-found'];
    const result = await kubectl(this.#parts, args, { seconds: PHASE_SECONDS });
    throwIfCancelled(this.#parts.signal);
    required(result, 'kubectl delete node');
  }

  /** Ends it, and removes what it has written. */
  stop(): Promise<void> {
    return stop(this.#parts);
  }
}

interface Parts {
  programs: ControlPlanePrograms;
  directory: string;
  processes: Processes;
  ports: Ports;
  signal: AbortSignal | undefined;
  kubeletProxy?: Server;
}

async function stop({ directory, processes, kubeletProxy }: Parts): Promise<void> {
  await processes.stop();
  kubeletProxy?.close();
  await rm(directory, { recursive: true, force: true });
}

function kubectl(
  { programs, directory, processes, signal }: Parts,
  args: readonly string[],
  options: { seconds: number; input?: string; signal?: AbortSignal },
): Promise<CommandResult> {
  return processes.run(programs.kubectl, ['--kubeconfig', join(directory, 'super-admin.conf'), ...args], {
    signal,
    ...options,
  });
}

async function mustRun(
  { programs, processes, signal }: Parts,
  name: keyof ControlPlanePrograms,
  args: readonly string[],
): Promise<CommandResult> {
  const result = await processes.run(programs[name], args, { seconds: PHASE_SECONDS, signal });
  throwIfCancelled(signal);
  return required(result, [name, ...args].join(' '));
}

function required(result: CommandResult, what: string): CommandResult {
  if (result.status === 0) return result;
  const how = result.status === undefined ? 'was ended' : `ended with exit status ${result.status}`;
  throw new BootError('CONTROL_PLANE_FAILED', `${what} ${how}`, {
    output: result.output.trim().split('\n').slice(-KEPT_LINES),
  });
}

/** Directories of root's own are closed to the user of the control plane. */
async function requireAccess({ processes, directory, signal }: Parts): Promise<void> {
  const { status } = await processes.run('test', ['-w', directory], { seconds: PHASE_SECONDS, signal });
  throwIfCancelled(signal);
  if (status !== 0)
    throw new BootError('CONTROL_PLANE_FAILED', `an ordinary user cannot write to ${directory}`, {
      hint: 'Set TMPDIR to a directory that everybody may enter.',
    });
}

async function makeCertificates(parts: Parts, version: string, token: string): Promise<void> {
  const { directory, ports } = parts;
  const here = join(directory, 'kubeadm-here.yaml');
  const pki = join(directory, 'pki');
  await writeFile(here, initConfiguration({ version, token, certificatesDir: pki }), { mode: 0o644 });
  // In the cluster, paths are those of a node.
  const there = { version, token, certificatesDir: '/etc/kubernetes/pki' };
  await writeFile(join(directory, 'kubeadm.yaml'), initConfiguration(there), { mode: 0o644 });
  const init = (...phase: string[]) =>
    mustRun(parts, 'kubeadm', ['init', 'phase', ...phase, '--config', here]);
  await init('certs', 'all');
  for (const name of ['super-admin', 'controller-manager']) {
    await init('kubeconfig', name, '--kubeconfig-dir', directory);
    const file = join(directory, `${name}.conf`);
    const text = await readFile(file, 'utf8');
    const elsewhere = `https://${API_SERVER_ADDRESS}:${API_SERVER_PORT}`;
    await writeFile(file, text.replace(elsewhere, `https://127.0.0.1:${ports.apiServer}`));
  }
}

async function startDaemons(parts: Parts): Promise<void> {
  const { processes, programs, directory, ports, signal } = parts;
  await writeFile(join(directory, 'egress.yaml'), JSON.stringify(egress(directory)));
  await processes.start('etcd', programs.etcd, etcdArguments(directory, ports));
  await processes.start('kube-apiserver', programs['kube-apiserver'], apiServerArguments(directory, ports));
  const until = (what: string, args: readonly string[], ...needed: string[]) =>
    waitUntil(what, signal, async () => {
      await processes.requireRunning(...needed);
      return (await kubectl(parts, args, { seconds: 10 })).status === 0;
    });
  await until('the API server was not ready', ['get', '--raw', '/readyz'], 'etcd', 'kube-apiserver');
  const controllers = controllerArguments(directory);
  await processes.start('kube-controller-manager', programs['kube-controller-manager'], controllers);
  const account = ['get', 'serviceaccount', 'default'];
  await until('the controllers had done nothing', account, ...DAEMONS);
}

/** What `kubeadm init` leaves in a cluster for those who join it. */
async function describeCluster(parts: Parts): Promise<void> {
  const { directory } = parts;
  const files = [
    ...['--config', join(directory, 'kubeadm.yaml')],
    ...['--kubeconfig', join(directory, 'super-admin.conf')],
  ];
  await mustRun(parts, 'kubeadm', ['init', 'phase', 'upload-config', 'all', ...files]);
  await mustRun(parts, 'kubeadm', ['init', 'phase', 'bootstrap-token', ...files]);
  // kubeadm has taken the address from the kubeconfig of this machine.
  const kubeconfig = clusterInfo(await readFile(join(directory, 'pki/ca.crt'), 'utf8'));
  const patch = JSON.stringify({ data: { kubeconfig } });
  const args = ['--namespace', 'kube-public', 'patch', 'configmap', 'cluster-info', '--type', 'merge'];
  const result = await kubectl(parts, [...args, '--patch', patch], { seconds: PHASE_SECONDS });
  required(result, 'kubectl patch configmap cluster-info');
}

/** https://kubernetes.io/docs/reference/config-api/apiserver-config.v1beta1/ */
const egress = (directory: string) => ({
  apiVersion: 'apiserver.k8s.io/v1beta1',
  kind: 'EgressSelectorConfiguration',
  egressSelections: [
    {
      name: 'cluster',
      connection: {
        proxyProtocol: 'HTTPConnect',
        transport: { uds: { udsName: join(directory, 'kubelet.sock') } },
      },
    },
  ],
});

async function waitUntil(
  what: string,
  signal: AbortSignal | undefined,
  isSo: () => Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + START_SECONDS * 1000;
  while (!(await isSo())) {
    throwIfCancelled(signal);
    if (performance.now() > deadline)
      throw new BootError('CONTROL_PLANE_FAILED', `${what} after ${START_SECONDS} s`);
    await delay(250);
  }
}

function publicKeyHash(certificate: Buffer): string {
  const key = new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'der' });
  return `sha256:${createHash('sha256').update(key).digest('hex')}`;
}

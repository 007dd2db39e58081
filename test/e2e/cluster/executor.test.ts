// The executor `kubernetes` on a real cluster: what is refused before a Job exists, failures with their reasons, callers that share
// a Job, and what Ctrl-C leaves. With IMAGES=all, a whole build besides, whose Pod is deleted on
// the way.
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BuildSpec } from '../../../image-builder/spec/api/types.ts';
import { pushBuilderImage } from '../support/cluster/builder-image.ts';
import {
  dockerConfig,
  startCluster,
  startClusterRegistry,
  type TestCluster,
} from '../support/cluster/cluster.ts';
import { eventually, start } from '../support/contained-build.ts';
import { run } from '../support/docker.ts';
import { executable } from '../support/executables.ts';
import type { TestRegistry } from '../support/registry.ts';

const LOGIN = { username: 'builder', password: 'registry-password' };
const NAMESPACE = 'builds';
const everything = process.env.IMAGES === 'all' ? test : test.skip;

let cluster: TestCluster;
let registry: TestRegistry;
let image: string;
let directory: string;
let publicKey: string;
/** A mirror that takes every connection and never answers. */
let silent: Server;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'image-builder-executor-'));
  cluster = await startCluster();
  registry = await startClusterRegistry(cluster, LOGIN);
  image = await pushBuilderImage(registry, LOGIN);
  const key = generateKeyPairSync('ed25519');
  publicKey = key.publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const files = {
    'config.json': dockerConfig(registry.host, LOGIN),
    'key.pem': key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
  for (const [name, content] of Object.entries(files))
    writeFileSync(join(directory, name), content, { mode: 0o600 });
  await cluster.kubectl(['create', 'namespace', NAMESPACE]);
  await cluster.kubectl(['label', 'namespace', NAMESPACE, 'pod-security.kubernetes.io/enforce=baseline']);
  const create = ['--namespace', NAMESPACE, 'create', 'secret', 'generic'];
  await cluster.kubectl([
    ...[...create, 'registry', '--type=kubernetes.io/dockerconfigjson'],
    `--from-file=.dockerconfigjson=${join(directory, 'config.json')}`,
    `--from-file=ca.crt=${registry.caFile}`,
  ]);
  await cluster.kubectl([...create, 'signing', `--from-file=key.pem=${join(directory, 'key.pem')}`]);
  silent = createServer(() => {});
  await new Promise<void>((done) => silent.listen(0, cluster.address, done));
});

afterAll(async () => {
  silent?.close();
  await registry?.stop();
  await cluster?.stop();
  rmSync(directory, { recursive: true, force: true });
});

type Executor = NonNullable<NonNullable<BuildSpec['executor']>['kubernetes']>;

/** Writes an object and returns its file. */
function written(name: string, executor: Partial<Executor>, changes: Partial<BuildSpec> = {}): string {
  const address = silent.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const mirror = `http://user:mirror-password@${cluster.address}:${port}/${name}`;
  const build: BuildSpec = {
    distribution: 'debian-12',
    mirror,
    bundle: { base: 'none', layout: `layout-${name}`, tag: 'v1' },
    store: { repository: `${registry.host}/site/store`, trust: { keys: [publicKey] } },
    executor: {
      kubernetes: {
        ...{ image, namespace: NAMESPACE, imagePullSecrets: ['registry'] },
        ...{ registrySecret: 'registry', signingSecret: 'signing' },
        ...executor,
      },
    },
    ...changes,
  };
  const file = join(directory, `${name}.json`);
  const object = {
    apiVersion: 'airshipit.org/v1alpha1',
    kind: 'ImageBuilder',
    metadata: { name },
    spec: { build },
  };
  writeFileSync(file, JSON.stringify(object));
  return file;
}

const environment = (changes: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => ({
  ...process.env,
  KUBECONFIG: cluster.kubeconfig,
  REGISTRY_AUTH_FILE: join(directory, 'config.json'),
  SSL_CERT_FILE: registry.caFile,
  ...changes,
});

/** The command line of a build with a store of its own; the answer of the builder image is known in all of them. */
function commandOf(file: string, store: string, ...options: string[]): string[] {
  return [executable('image-builder'), 'build', file, '--store', join(directory, store), ...options];
}

async function build(file: string, env: NodeJS.ProcessEnv = environment(), ...options: string[]) {
  const [program = '', ...args] = commandOf(file, 'store', ...options);
  return await run(program, args, { cwd: directory, env });
}

const jobs = async (selector = 'app.kubernetes.io/component=stage') => {
  const args = ['--namespace', NAMESPACE, 'get', 'jobs', '--output=name', `--selector=${selector}`];
  return (await cluster.kubectl(args)).stdout.split('\n').filter((line) => line !== '');
};

/** A kubeconfig of a ServiceAccount that may do nothing, or of a token that nobody has given. */
async function kubeconfigWith(token: string): Promise<string> {
  const { stdout } = await cluster.kubectl(['config', 'view', '--raw', '--output=json']);
  const config = JSON.parse(stdout);
  for (const { user } of config.users) {
    for (const field of Object.keys(user)) delete user[field];
    user.token = token;
  }
  const file = join(directory, `kubeconfig-${token.length}`);
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
  return file;
}

describe('before a Job exists', () => {
  test('what cannot work is said with its field and what to do', async () => {
    await cluster.kubectl(['--namespace', NAMESPACE, 'create', 'serviceaccount', 'nobody']);
    const token = await cluster.kubectl(['--namespace', NAMESPACE, 'create', 'token', 'nobody']);
    const nobody = await kubeconfigWith(token.stdout.trim());
    const stranger = await kubeconfigWith('expired');
    const both = { executor: { local: {}, kubernetes: { image } } };
    const cases: [string, NodeJS.ProcessEnv, RegExp][] = [
      [written('both', {}, both), environment(), /spec\.build\.executor: names local and kubernetes/],
      [written('small', { storage: { size: '1Gi' } }), environment(), /storage\.size: is 1Gi.*at least 2Gi/],
      [
        written('unshared', {}, { store: undefined } as never),
        environment(),
        /spec\.build\.store: is missing/,
      ],
      [
        written('unsigned', { signingSecret: undefined } as never),
        environment(),
        /signingSecret: is missing/,
      ],
      [
        written('no-config', {}),
        environment({ KUBECONFIG: '', HOME: directory }),
        /there is no kubeconfig.*KUBECONFIG_UNUSABLE/,
      ],
      [written('context', { context: 'elsewhere' }), environment(), /no context elsewhere/],
      [written('namespace', { namespace: 'nowhere' }), environment(), /namespaces "nowhere" not found/],
      [written('expired', {}), environment({ KUBECONFIG: stranger }), /CLUSTER_UNAUTHORIZED/],
      [
        written('forbidden', {}),
        environment({ KUBECONFIG: nobody }),
        /CLUSTER_FORBIDDEN[\s\S]*needs the rule \{apiGroups: \["[a-z]*"\], resources: \[\w+\], verbs: \[list\]\}/,
      ],
    ];
    for (const [file, env, says] of cases) {
      const { status, stderr } = await build(file, env);
      expect([file, stderr]).toEqual([file, expect.stringMatching(says)]);
      expect(status).toBe(1);
    }
    expect(await jobs()).toEqual([]);
  });

  test('a render starts no Job unless a policy names the image and the namespace', async () => {
    const render = (env: NodeJS.ProcessEnv) =>
      run(executable('image-builder-fn'), [], {
        cwd: directory,
        env: environment({ IMAGE_BUILDER_STORE: join(directory, 'store'), ...env }),
        input: JSON.stringify({
          apiVersion: 'config.kubernetes.io/v1',
          kind: 'ResourceList',
          functionConfig: JSON.parse(readFileSync(written('render', {}), 'utf8')),
          items: [],
        }),
      });
    const store = {
      IMAGE_BUILDER_STORE_REPOSITORY: `${registry.host}/site/store`,
      IMAGE_BUILDER_STORE_TRUST: 'registry',
    };
    expect((await render(store)).stderr).toMatch(
      /kubernetes\.image: starting .* needs permission.*IMAGE_BUILDER_IMAGES/,
    );
    const withImage = { ...store, IMAGE_BUILDER_IMAGES: image };
    expect((await render(withImage)).stderr).toMatch(/namespace: starting Jobs in builds needs permission/);
    expect(await jobs()).toEqual([]);
  });
});

test('two callers share a Job; Ctrl-C leaves it to the other, and the last one deletes it; no secret is in sight', async () => {
  const file = written('shared', {});
  const begin = (store: string) => start(commandOf(file, store), environment(), directory);
  const first = begin('first');
  await first.prints('fetch the package lists');
  const second = begin('second');
  await second.prints('rootfs: fetch the package lists');
  const [job = '', ...others] = await jobs();
  expect(others).toEqual([]);
  const shown = await cluster.kubectl(['--namespace', NAMESPACE, 'get', 'jobs,pods', '--output=yaml']);
  expect(shown.stdout).not.toMatch(/mirror-password|registry-password|PRIVATE KEY/);
  first.child.kill('SIGINT');
  expect((await first.exited).status).toBe(130);
  expect(await jobs()).toEqual([job]);
  second.child.kill('SIGINT');
  const { status, stderr } = await second.exited;
  expect(status).toBe(130);
  expect(stderr).not.toContain('mirror-password');
  await eventually(async () => {
    expect(await jobs()).toEqual([]);
    const selector = ['--selector=app.kubernetes.io/component=stage', '--output=name'];
    expect((await cluster.kubectl(['--namespace', NAMESPACE, 'get', 'pods', ...selector])).stdout).toBe('');
    const secrets = ['--selector=app.kubernetes.io/managed-by=image-builder', '--output=name'];
    expect((await cluster.kubectl(['--namespace', NAMESPACE, 'get', 'secrets', ...secrets])).stdout).toBe('');
  });
});

test('a build that fails ends with the error of the program in the Pod, and is begun anew by the next', async () => {
  // Nobody listens there.
  const file = written(
    'failing',
    {},
    {
      mirror: `http://${cluster.address}:9/debian`,
      rootfs: { multistrap: { multistrap_retries: 0 } },
    },
  );
  const { status, stderr } = await build(file);
  expect(status).toBe(1);
  expect(stderr).toMatch(/rootfs: failed/);
  expect(stderr).toMatch(/REPOSITORY_UNREACHABLE|cannot be fetched/);
  expect(stderr).toMatch(/log: kubectl logs --namespace builds ib-rootfs-\S+ --container build/);
  const [failed = ''] = await jobs();
  const uid = async () =>
    (await cluster.kubectl(['--namespace', NAMESPACE, 'get', failed, '--output=jsonpath={.metadata.uid}']))
      .stdout;
  const before = await uid();
  expect((await build(file)).stderr).toMatch(/rootfs: failed/);
  expect(await uid()).not.toBe(before);
});

test('a Job that somebody deletes, and a Pod that no node takes, are told', async () => {
  const deleted = start(commandOf(written('deleted', {}), 'store'), environment(), directory);
  await deleted.prints('fetch the package lists');
  await cluster.kubectl([
    '--namespace',
    NAMESPACE,
    'delete',
    'jobs',
    '--selector=app.kubernetes.io/component=stage',
  ]);
  expect((await deleted.exited).stderr).toMatch(/was deleted while it was waited for[\s\S]*JOB_DELETED/);
  const waiting = start(
    commandOf(written('waiting', { nodeSelector: { pool: 'none' } }), 'store'),
    environment(),
    directory,
  );
  await waiting.prints("didn't match Pod's node affinity/selector");
  waiting.child.kill('SIGINT');
  expect((await waiting.exited).status).toBe(130);
});

describe('a whole build', () => {
  /** Of a mirror that Pods reach as this machine does. */
  let mirror: string;
  let proxy: { port: number; close(): void };
  beforeAll(async () => {
    if (everything === test.skip) return;
    proxy = await debianProxy(cluster.address);
    mirror = `http://${cluster.address}:${proxy.port}/debian`;
  });
  afterAll(() => proxy?.close());

  const small = (): Partial<BuildSpec> => ({
    mirror,
    rootfs: {
      multistrap: {
        ...{
          packages: ['initramfs-tools'],
          kernel_base_pkg: 'linux-image-cloud-amd64',
          kernel_headers_pkg: '',
        },
        repos: [
          {
            ...{ name: 'debian', source: mirror, suite: 'bookworm', components: 'main' },
            keyring_pkg: 'debian-archive-keyring',
          },
        ],
      },
    },
    qcows: { node: { qcow: { qcow_capacity: '3G' } } },
  });

  everything('a Pod that is deleted on the way is replaced, and the build goes on', async () => {
    const bundle = { base: 'none' as const, tag: 'v1', layout: 'layout-there' };
    const [program = '', ...args] = commandOf(written('there', {}, { ...small(), bundle }), 'there');
    const building = run(program, args, { cwd: directory, env: environment() });
    await eventually(async () => {
      const selector = '--selector=app.kubernetes.io/component=stage';
      const running = ['--namespace', NAMESPACE, 'get', 'pods', '--output=name', selector];
      const { stdout } = await cluster.kubectl([...running, '--field-selector=status.phase!=Failed']);
      const [pod = ''] = stdout.split('\n');
      expect(pod).toMatch(/rootfs/);
      await sleep(10_000);
      await cluster.kubectl(['--namespace', NAMESPACE, 'delete', pod, '--wait=false']);
    });
    const { status, stdout, stderr } = await building;
    expect([status, stderr]).toEqual([0, expect.stringContaining('bundle: finished')]);
    expect(stdout).toMatch(/digest: sha256:[0-9a-f]{64}/);
  });
});

/** A proxy of Debian's mirror under an address that Pods reach. */
async function debianProxy(address: string) {
  const { createServer: createHttp, request } = await import('node:http');
  const server = createHttp((asked, answer) => {
    const headers = { ...asked.headers, host: 'deb.debian.org' };
    const { url, method } = asked;
    const outgoing = request({ host: 'deb.debian.org', path: url, method, headers }, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(answer);
    });
    outgoing.on('error', () => answer.destroy());
    asked.pipe(outgoing);
  });
  await new Promise<void>((done) => server.listen(0, address, done));
  const listening = server.address();
  const port = typeof listening === 'object' && listening ? listening.port : 0;
  return { port, close: () => server.close() };
}

// A cluster that builds: a registry for results, the builder image in it, a namespace with its Secrets, and objects that name
// them all. What shall never end waits for a mirror that takes every connection and never answers.
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer, request } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BuildSpec } from '../../../../image-builder/spec/api/types.ts';
import { type Running, start } from '../contained-build.ts';
import { run } from '../docker.ts';
import { executable } from '../executables.ts';
import type { TestRegistry } from '../registry.ts';
import { pushBuilderImage } from './builder-image.ts';
import { dockerConfig, startCluster, startClusterRegistry, type TestCluster } from './cluster.ts';

const LOGIN = { username: 'builder', password: 'registry-password' };
export const NAMESPACE = 'builds';

type Executor = NonNullable<NonNullable<BuildSpec['executor']>['kubernetes']>;

/** A cluster that builds. */
export interface BuildingCluster {
  cluster: TestCluster;
  registry: TestRegistry;
  /** The builder image, by its digest. */
  image: string;
  /** Public key that results are signed by. */
  publicKey: string;
  /** Where objects, stores and layouts are. */
  directory: string;
  /** Writes an object and returns its file. */
  written(name: string, executor?: Partial<Executor>, changes?: Partial<BuildSpec>): string;
  /** Of a caller. */
  environment(changes?: NodeJS.ProcessEnv): NodeJS.ProcessEnv;
  /** The command line of a build, with a store in `directory`. */
  commandOf(file: string, store: string, ...options: string[]): [string, ...string[]];
  /** Builds in the store `store`: the answer of the builder image is known there after the first time. */
  build(file: string, env?: NodeJS.ProcessEnv, ...options: string[]): ReturnType<typeof run>;
  /** Starts a build, which can be watched and stopped. */
  begin(file: string, options?: { store?: string; environment?: NodeJS.ProcessEnv }): Running;
  /** Runs kubectl in the namespace. @returns what it prints */
  kubectl(...args: string[]): Promise<string>;
  /** Names of Jobs: `job.batch/ib-rootfs-...`. */
  jobs(selector?: string): Promise<string[]>;
  /** @throws unless nothing of a stage is left: no Job, no Pod, no Secret */
  isClean(): Promise<void>;
  /** A mirror of Debian that Pods reach, for objects with a whole build. */
  debianMirror(): Promise<string>;
  stop(): Promise<void>;
}

/** Starts it; `stop` it. */
export async function startBuildingCluster(nodes: 1 | 2 = 1): Promise<BuildingCluster> {
  const directory = mkdtempSync(join(tmpdir(), 'image-builder-executor-'));
  const cluster = await startCluster(nodes);
  const registry = await startClusterRegistry(cluster, LOGIN);
  const image = await pushBuilderImage(registry, LOGIN);
  const key = generateKeyPairSync('ed25519');
  const publicKey = key.publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const files = {
    'config.json': dockerConfig(registry.host, LOGIN),
    'key.pem': key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
  for (const [name, content] of Object.entries(files))
    writeFileSync(join(directory, name), content, { mode: 0o600 });
  await cluster.kubectl(['create', 'namespace', NAMESPACE]);
  await cluster.kubectl(['label', 'namespace', NAMESPACE, 'pod-security.kubernetes.io/enforce=baseline']);
  const kubectl = async (...args: string[]) =>
    (await cluster.kubectl(['--namespace', NAMESPACE, ...args])).stdout;
  const secret = ['create', 'secret', 'generic'];
  await kubectl(
    ...[...secret, 'registry', '--type=kubernetes.io/dockerconfigjson'],
    `--from-file=.dockerconfigjson=${join(directory, 'config.json')}`,
    `--from-file=ca.crt=${registry.caFile}`,
  );
  await kubectl(...secret, 'signing', `--from-file=key.pem=${join(directory, 'key.pem')}`);
  const silent = createServer(() => {});
  const silentPort = await listen(silent, cluster.address);
  const servers: { close(): void }[] = [silent];
  const environment = (changes: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => ({
    ...process.env,
    KUBECONFIG: cluster.kubeconfig,
    REGISTRY_AUTH_FILE: join(directory, 'config.json'),
    SSL_CERT_FILE: registry.caFile,
    ...changes,
  });
  const commandOf = (file: string, store: string, ...options: string[]): [string, ...string[]] => [
    ...([executable('image-builder'), 'build', file] as const),
    ...['--store', join(directory, store), ...options],
  ];
  return {
    ...{ cluster, registry, image, publicKey, directory, environment, commandOf, kubectl },
    written(name, executor = {}, changes = {}) {
      const build: BuildSpec = {
        distribution: 'debian-12',
        mirror: `http://user:mirror-password@${cluster.address}:${silentPort}/${name}`,
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
        ...{ apiVersion: 'airshipit.org/v1alpha1', kind: 'ImageBuilder' },
        ...{ metadata: { name }, spec: { build } },
      };
      writeFileSync(file, JSON.stringify(object));
      return file;
    },
    async build(file, env = environment(), ...options) {
      const [program, ...args] = commandOf(file, 'store', ...options);
      return await run(program, args, { cwd: directory, env });
    },
    async jobs(selector = 'app.kubernetes.io/component=stage') {
      const found = await kubectl('get', 'jobs', '--output=name', `--selector=${selector}`);
      return found.split('\n').filter((line) => line !== '');
    },
    begin: (file, { store = 'store', environment: changes } = {}) =>
      start(commandOf(file, store), environment(changes), directory),
    async isClean() {
      const left = await kubectl(
        'get',
        'jobs,pods',
        '--selector=app.kubernetes.io/component=stage',
        '--output=name',
      );
      const secrets = await kubectl(
        'get',
        'secrets',
        '--selector=app.kubernetes.io/managed-by=image-builder',
        '--output=name',
      );
      if (left + secrets !== '') throw new Error(`left: ${left}${secrets}`);
    },
    async debianMirror() {
      const mirror = debianProxy();
      servers.push(mirror);
      return `http://${cluster.address}:${await listen(mirror, cluster.address)}/debian`;
    },
    async stop() {
      for (const server of servers) server.close();
      await registry.stop();
      await cluster.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** What makes a build of Debian small, from a mirror that Pods reach. */
export function smallBuild(mirror: string): Partial<BuildSpec> {
  return {
    mirror,
    rootfs: {
      multistrap: {
        packages: ['initramfs-tools'],
        ...{ kernel_base_pkg: 'linux-image-cloud-amd64', kernel_headers_pkg: '' },
        repos: [
          {
            ...{ name: 'debian', source: mirror, suite: 'bookworm', components: 'main' },
            keyring_pkg: 'debian-archive-keyring',
          },
        ],
      },
    },
    qcows: { node: { qcow: { qcow_capacity: '3G' } } },
  };
}

/** Debian's mirror under another name. */
function debianProxy() {
  return createHttpServer((asked, answer) => {
    const { url, method } = asked;
    const headers = { ...asked.headers, host: 'deb.debian.org' };
    const outgoing = request({ host: 'deb.debian.org', path: url, method, headers }, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(answer);
    });
    outgoing.on('error', () => answer.destroy());
    asked.pipe(outgoing);
  });
}

async function listen(server: ReturnType<typeof createServer>, address: string): Promise<number> {
  await new Promise<void>((done) => server.listen(0, address, done));
  return (server.address() as AddressInfo).port;
}

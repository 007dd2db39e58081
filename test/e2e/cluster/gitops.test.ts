// What GitOps controllers do with examples/gitops, in Pods of a real cluster: commands, users, confinement and volumes are those of
// the examples; the controllers themselves are not here. Two minutes: `npm run test:images`.
import { execFile, execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parse, parseAllDocuments } from 'yaml';
import { writeBundle } from '../bundle/support.ts';
import {
  type CommandResult,
  dockerConfig,
  startCluster,
  startClusterRegistry,
  type TestCluster,
} from '../support/cluster/cluster.ts';
import { nativeExecutable } from '../support/executables.ts';
import type { TestRegistry } from '../support/registry.ts';

const root = join(__dirname, '../../..');
const examples = join(root, 'examples/gitops');
const LOGIN = { username: 'site', password: 'not-for-strangers' };
const run = promisify(execFile);

/** What the tests read of Pods. */
interface PodSpec {
  initContainers?: Container[];
  containers: Container[];
  volumes?: { name: string; [source: string]: unknown }[];
}
interface Container {
  name: string;
  image?: string;
  command?: string[];
  args?: string[];
  env?: { name: string; value: string }[];
  workingDir?: string;
  securityContext?: object;
  volumeMounts?: { name: string; mountPath: string; readOnly?: boolean }[];
}

(process.env.IMAGES === 'all' ? describe : describe.skip)('GitOps', () => {
  const directory = mkdtempSync(join(tmpdir(), 'gitops-'));
  let cluster: TestCluster;
  let registry: TestRegistry;
  let environment: NodeJS.ProcessEnv;
  /** Of the image that renders. */
  let image: string;
  /** The bundle that the objects read, with its digest. */
  let bundle: string;

  beforeAll(async () => {
    cluster = await startCluster();
    registry = await startClusterRegistry(cluster, LOGIN);
    writeFileSync(join(directory, 'config.json'), dockerConfig(registry.host, LOGIN), { mode: 0o600 });
    environment = { ...process.env, DOCKER_CONFIG: directory, SSL_CERT_FILE: registry.caFile };
    image = await push(await renderLayout(), 'site/image-builder-render');
    bundle = await push(await bundleLayout(), 'site/qcow-bundle');
    await create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'site', labels: RESTRICTED } });
    await create({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'image-builder-registry' },
      type: 'kubernetes.io/dockerconfigjson',
      stringData: { '.dockerconfigjson': dockerConfig(registry.host, LOGIN) },
    });
    const ca = readFileSync(registry.caFile ?? '', 'utf8');
    await create(configMap('authority', { 'ca.crt': ca }));
    await create(configMap('source', source({ bundle: { image: bundle } })));
    const build = { distribution: 'debian-13', qcows: { node: {} }, whenMissing: 'Fail' };
    await create(configMap('missing', source({ build })));
  });

  afterAll(async () => {
    await registry?.stop();
    await cluster?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  const create = (input: object) =>
    cluster.kubectl(['create', '--namespace=site', '--filename=-'], { input });

  async function push(layout: string, repository: string): Promise<string> {
    const { stdout } = await run('skopeo', ['inspect', '--format={{.Digest}}', `oci:${layout}:latest`]);
    const target = `${registry.host}/${repository}`;
    await run(nativeExecutable('image-builder'), ['push', `oci:${layout}:latest`, `${target}:v1`], {
      env: environment,
    });
    return `${target}:v1@${stdout.trim()}`;
  }

  async function renderLayout(): Promise<string> {
    const layout = join(directory, 'render');
    await run(join(root, 'scripts/render-layout.sh'), [layout, join(root, '.cache/bin/oras')]);
    return layout;
  }

  async function bundleLayout(): Promise<string> {
    writeFileSync(join(directory, 'raw'), 'disk');
    const qcow = join(directory, 'node.qcow2');
    execFileSync('qemu-img', ['convert', '-O', 'qcow2', join(directory, 'raw'), qcow]);
    const layout = join(directory, 'bundle');
    const profile = { path: '/profiles/profile_multistrap.json', name: 'profile_multistrap' };
    await writeBundle(
      {
        qcows: [{ name: 'node', path: qcow }],
        profiles: [{ ...profile, json: '{"k8s_version": "1.37.2-1.1"}' }],
        created: 1_700_000_000,
        architecture: 'amd64',
        labels: {},
      },
      { kind: 'layout', path: layout, tag: 'latest' },
      { cwd: directory },
    );
    return layout;
  }

  /** A repository: an object, and a cluster that gets its version from it. */
  const source = (spec: object): Record<string, string> => ({
    'kustomization.yaml': JSON.stringify({
      generators: ['image-builder.yaml'],
      resources: ['cluster.yaml'],
      replacements: [
        {
          source: { kind: 'VariableCatalogue', name: 'profile_multistrap', fieldPath: 'kubernetes.version' },
          targets: [{ select: { kind: 'KubeadmControlPlane' }, fieldPaths: ['spec.version'] }],
        },
      ],
    }),
    'image-builder.yaml': [
      'apiVersion: airshipit.org/v1alpha1',
      'kind: ImageBuilder',
      'metadata:',
      '  name: node',
      '  annotations:',
      '    config.kubernetes.io/function: "exec: {path: image-builder-fn}"',
      `spec: ${JSON.stringify({ ...spec, catalogue: { annotations: LOCAL } })}`,
    ].join('\n'),
    'cluster.yaml': JSON.stringify({
      apiVersion: 'controlplane.cluster.x-k8s.io/v1beta1',
      kind: 'KubeadmControlPlane',
      metadata: { name: 'control-plane' },
      spec: { version: 'unknown' },
    }),
  });

  const RENDERED = {
    apiVersion: 'controlplane.cluster.x-k8s.io/v1beta1',
    kind: 'KubeadmControlPlane',
    metadata: { name: 'control-plane' },
    spec: { version: 'v1.37.2' },
  };

  /** An example's Pod as it can run here: with this registry, and without what only the controller brings. */
  function here(spec: PodSpec, withSource = true): PodSpec {
    const volumes = [...(spec.volumes ?? []), { name: 'authority', configMap: { name: 'authority' } }];
    const known = new Set(volumes.map(({ name }) => name));
    const adapt = (container: Container): Container => ({
      ...container,
      image,
      env: [...(container.env ?? []), { name: 'SSL_CERT_FILE', value: '/authority/ca.crt' }],
      volumeMounts: [
        ...(container.volumeMounts ?? []).filter(
          ({ name }) => known.has(name) || (withSource && name === 'source'),
        ),
        { name: 'authority', mountPath: '/authority', readOnly: true },
      ],
    });
    return {
      ...spec,
      ...(spec.initContainers && { initContainers: spec.initContainers.map(adapt) }),
      containers: spec.containers.map(adapt),
      volumes,
    };
  }

  /** Runs a Pod to its end. @returns how it ended, and its log */
  async function runPod(name: string, spec: PodSpec): Promise<{ phase: string; log: string }> {
    const pullSecrets = { imagePullSecrets: [{ name: 'image-builder-registry' }] };
    await create({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name },
      spec: { restartPolicy: 'Never', ...pullSecrets, ...spec },
    });
    let phase = '';
    for (let attempt = 0; attempt < 60 && !/Succeeded|Failed/.test(phase); attempt++) {
      const args = ['get', 'pod', name, '--namespace=site', '--output=jsonpath={.status.phase}'];
      phase = (await cluster.kubectl(args)).stdout;
      await new Promise((done) => setTimeout(done, 500));
    }
    if (!/Succeeded|Failed/.test(phase)) {
      const { stdout } = await cluster.kubectl(['describe', 'pod', name, '--namespace=site']);
      throw new Error(stdout);
    }
    return { phase, log: (await logOf(`pod/${name}`)).stdout };
  }

  const logOf = (what: string): Promise<CommandResult> => cluster.kubectl(['logs', '--namespace=site', what]);

  const read = (path: string) => parse(readFileSync(join(examples, path), 'utf8'));

  /** A Pod with the sidecar of Argo CD alone, in a directory with what a repository has. */
  function sidecar(command: string[], repository: string): PodSpec {
    const { spec } = read('argocd/repo-server.yaml').spec.template as { spec: PodSpec };
    const [container] = spec.containers;
    if (container === undefined) throw new Error('no container');
    const mounts = [...(container.volumeMounts ?? []), { name: 'source', mountPath: '/source' }];
    const volumes = (spec.volumes ?? []).filter(({ name }) => name !== 'image-builder-plugin');
    return here({
      containers: [{ ...container, command, workingDir: '/source', volumeMounts: mounts }],
      volumes: [...volumes, { name: 'source', configMap: { name: repository } }],
    });
  }

  it('renders in the sidecar of Argo CD, as an ordinary user without privileges', async () => {
    const { generate, discover } = read('argocd/plugin.yaml').spec;
    const { phase, log } = await runPod('sidecar', sidecar(generate.command, 'source'));
    expect([phase, log]).toEqual(['Succeeded', expect.any(String)]);
    expect(parse(log)).toEqual(RENDERED);
    const found = await runPod('discover', sidecar(discover.find.command, 'source'));
    expect(found.log.trim()).toMatch(/image-builder\.yaml$/);
  });

  it('fails where a result is missing that may not be built there, and says so', async () => {
    const { generate } = read('argocd/plugin.yaml').spec;
    const { phase, log } = await runPod('missing', sidecar(generate.command, 'missing'));
    expect(phase).toBe('Failed');
    expect(log).toContain('whenMissing');
    expect(log).not.toContain('KubeadmControlPlane');
  });

  it("renders by Argo CD's own kustomize with its build options", async () => {
    const rendered = execFileSync(join(root, '.cache/bin/kustomize'), [
      'build',
      join(examples, 'argocd-build-options'),
    ]);
    const objects = parseAllDocuments(rendered.toString()).map((document) => document.toJS());
    const options = objects.find(({ kind }) => kind === 'ConfigMap').data['kustomize.buildOptions'];
    const spec: PodSpec = objects.find(({ kind }) => kind === 'Deployment').spec.template.spec;
    const [server] = spec.containers;
    if (server === undefined) throw new Error('no container');
    const pod = here({
      initContainers: spec.initContainers ?? [],
      containers: [
        {
          ...server,
          securityContext: spec.initContainers?.[0]?.securityContext ?? {},
          command: ['kustomize', 'build', ...options.split(' '), '.'],
          workingDir: '/source',
          env: [...(server.env ?? []), { name: 'DOCKER_CONFIG', value: '/registry' }],
          volumeMounts: [
            ...(server.volumeMounts ?? []),
            { name: 'source', mountPath: '/source' },
            { name: 'registry', mountPath: '/registry' },
            { name: 'tmp', mountPath: '/tmp' },
          ],
        },
      ],
      volumes: [
        ...(spec.volumes ?? []),
        { name: 'source', configMap: { name: 'source' } },
        { name: 'tmp', emptyDir: {} },
        {
          name: 'registry',
          secret: {
            secretName: 'image-builder-registry',
            items: [{ key: '.dockerconfigjson', path: 'config.json' }],
          },
        },
      ],
    });
    const { phase, log } = await runPod('build-options', pod);
    expect([phase, log]).toEqual(['Succeeded', expect.any(String)]);
    expect(parse(log)).toEqual(RENDERED);
  });

  it('publishes what Flux applies, the same each time', async () => {
    const cronJob = read('flux/cronjob.yaml');
    const template = cronJob.spec.jobTemplate.spec.template;
    const pod = here(template.spec);
    const artifact = `${registry.host}/site/rendered:main`;
    // The source comes from a ConfigMap instead of Git.
    Object.assign(pod.initContainers?.[0] ?? {}, {
      command: ['sh', '-c', 'mkdir -p /source/tree/site && cp -L /repository/*.yaml /source/tree/site/'],
      args: [],
    });
    pod.initContainers?.[0]?.volumeMounts?.push({ name: 'repository', mountPath: '/repository' });
    pod.volumes?.push({ name: 'repository', configMap: { name: 'source' } });
    for (const variable of pod.containers[0]?.env ?? [])
      if (variable.name === 'ARTIFACT') variable.value = artifact;
    template.spec = { ...pod, imagePullSecrets: [{ name: 'image-builder-registry' }] };
    await create(cronJob);
    const oras = async (...args: string[]) =>
      (await run(join(root, '.cache/bin/oras'), args, { env: environment, cwd: directory })).stdout;
    const digests = new Set<string>();
    for (const name of ['first', 'second']) {
      await cluster.kubectl(['create', 'job', name, '--from=cronjob/render', '--namespace=site']);
      const wait = ['wait', '--for=condition=Complete', `job/${name}`, '--namespace=site', '--timeout=60s'];
      const { status } = await cluster.kubectl(wait, { mayFail: true });
      expect([status, (await logOf(`job/${name}`)).stdout]).toEqual([0, expect.any(String)]);
      digests.add((await oras('resolve', artifact)).trim());
    }
    expect(digests.size).toBe(1);
    const manifest = JSON.parse(await oras('manifest', 'fetch', artifact));
    expect(manifest).toMatchObject({
      config: { mediaType: 'application/vnd.cncf.flux.config.v1+json' },
      layers: [{ mediaType: 'application/vnd.cncf.flux.content.v1.tar+gzip' }],
    });
    await oras('pull', artifact);
    const objects = execFileSync('tar', ['-xzOf', join(directory, 'rendered.tar.gz'), 'objects.yaml']);
    expect(parse(objects.toString())).toEqual(RENDERED);
  });

  it('renders the package of kpt', async () => {
    const kptPackage = join(directory, 'kpt');
    cpSync(join(examples, 'kpt'), kptPackage, { recursive: true });
    const object = readFileSync(join(kptPackage, 'image-builder.yaml'), 'utf8');
    writeFileSync(
      join(kptPackage, 'image-builder.yaml'),
      object.replace('registry.example.org/site/qcow-bundle:k8s-1.37-latest', bundle),
    );
    const bin = join(directory, 'bin');
    mkdirSync(bin);
    writeFileSync(
      join(bin, 'image-builder-fn'),
      `#!/bin/sh\nexec ${nativeExecutable('image-builder-fn')}\n`,
      {
        mode: 0o755,
      },
    );
    await run('kpt', ['fn', 'render', '--allow-exec', kptPackage], {
      env: { ...environment, PATH: `${bin}:${process.env.PATH}` },
    });
    const catalogue = parse(readFileSync(join(kptPackage, 'variablecatalogue_site-artifacts.yaml'), 'utf8'));
    expect(bundle.endsWith(`@${catalogue.bundle.digest}`)).toBe(true);
  });
});

const LOCAL = { 'config.kubernetes.io/local-config': 'true' };
const RESTRICTED = { 'pod-security.kubernetes.io/enforce': 'restricted' };

function configMap(name: string, data: Record<string, string>): object {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data };
}

// Targets of the Dockerfile as buildah and podman build them, and that the bundle runs in podman as it does in Docker.
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import { type DockerEngine, debianBase, nodeBase, run, useDocker } from '../support/docker.ts';
import { type Podman, usePodman } from '../support/podman.ts';
import { preparedSpec } from '../support/prepared-image.ts';

const root = resolve(__dirname, '../../..');
let engine: DockerEngine;
let directory: string;
let podman: Podman;
let bases: Record<'node' | 'debian', string>;

beforeAll(async () => {
  engine = await useDocker();
  directory = await mkdtemp(join(tmpdir(), 'image-builder-buildah-'));
  podman = await usePodman(join(directory, 'podman'));
  bases = { node: await nodeBase(engine), debian: await debianBase(engine) };
  for (const [name, tag] of Object.entries(bases)) {
    const archive = join(directory, `${name}.tar`);
    await engine.docker(['save', '--output', archive, tag]);
    expect(await podman.run(['podman', 'load', '--input', archive])).toMatchObject({ status: 0 });
    await rm(archive);
  }
  const context = join(directory, 'context');
  await cp(join(root, 'dist'), join(context, 'dist'), { recursive: true });
  await cp(join(root, 'Dockerfile'), join(context, 'Dockerfile'));
  for (const path of ['bundle/qcows', 'bundle/profiles', 'manifests', 'profiles'])
    await mkdir(join(context, path), { recursive: true });
  await writeFile(join(context, 'bundle/qcows/node.qcow2'), 'a disk');
  await writeFile(join(context, 'bundle/profiles/profile_multistrap.json'), '{"k8s_version": "1.21.2-00"}');
});
afterAll(async () => {
  await podman?.dispose();
  await rm(directory, { recursive: true, force: true });
  await engine.stop();
});

/** Builds a target with the rest of the command line that both tools share; layers are shared by both, too. */
async function build(tool: readonly string[], target: string) {
  const buildArgs = {
    FUNCTION_BASE: bases.node,
    NODE_BASE: bases.node,
    BUILDER_BASE: bases.debian,
    REVISION: 'abc',
    BUILD_SPEC: JSON.stringify(await preparedSpec()),
  };
  const built = await podman.run([
    ...tool,
    // Isolated by chroot: what works where containers cannot be nested.
    ...['--isolation', 'chroot', '--layers', '--pull=never', '--target', target, '--tag', target],
    ...Object.entries(buildArgs).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]),
    join(directory, 'context'),
  ]);
  expect([target, built.status, built.status === 0 ? '' : built.stderr]).toEqual([target, 0, '']);
  const [{ Config }] = JSON.parse((await podman.run(['podman', 'image', 'inspect', target])).stdout);
  return Config;
}

describe.each([
  ['buildah', ['buildah', 'build']],
  ['podman', ['podman', 'build']],
] as const)('%s', (_, tool) => {
  test('builds the function and the bundle, which answer in podman as kustomize starts them', async () => {
    const config = await build(tool, 'function');
    expect(config).toMatchObject({ Entrypoint: ['function'], User: '65534:65534', WorkingDir: '/tmp' });
    expect(config.Labels).toMatchObject({
      'org.opencontainers.image.title': 'image-builder-function',
      'org.opencontainers.image.revision': 'abc',
    });
    expect((await build(tool, 'bundle')).Labels).toMatchObject({
      'org.opencontainers.image.title': 'qcow-bundle',
      'org.opencontainers.image.licenses': 'Apache-2.0',
    });
    const { argv, environment } = podman.command([
      ...['podman', 'run', '--rm', '--interactive', '--network', 'none', '--user', 'nobody'],
      ...['--security-opt=no-new-privileges', '--read-only', 'bundle'],
    ]);
    const [file = '', ...args] = argv;
    const answer = await run(file, args, {
      env: environment,
      input:
        'apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems: []\nfunctionConfig: {apiVersion: v1, kind: ConfigMap, metadata: {name: c}}\n',
    });
    expect(answer).toMatchObject({ status: 0 });
    expect(parse(answer.stdout).items).toMatchObject([
      { kind: 'VariableCatalogue', k8s_version: '1.21.2-00' },
    ]);
  });

  test('builds the builder, and on it the image with a root file system', async () => {
    for (const target of ['builder', 'image-builder']) {
      const config = await build(tool, target);
      expect(config.Entrypoint ?? []).toEqual([]);
      expect(config.Cmd).toEqual(['/usr/bin/local/entrypoint.sh']);
    }
  });
});

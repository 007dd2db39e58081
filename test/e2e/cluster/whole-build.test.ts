// Whole builds on a real cluster: eight callers of one build, the digest of the other executors, and faults on the way to a
// result. Ten minutes: `npm run test:images`.
import { mkdirSync, readFileSync, renameSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BuildSpec } from '../../../image-builder/spec/api/types.ts';
import { layOutBuilderImage } from '../support/cluster/builder-image.ts';
import { type BuildingCluster, smallBuild, startBuildingCluster } from '../support/cluster/building.ts';
import { eventually } from '../support/contained-build.ts';
import { type DockerEngine, run, TEST_PREFIX, useDocker } from '../support/docker.ts';

const CALLERS = 8;
const IMAGE = `${TEST_PREFIX}/tools:cluster`;
const LOCAL = { executor: { local: {} }, store: undefined } as never as Partial<BuildSpec>;
/** Options of `docker run`: root of a user namespace in the container can mount what a build mounts. */
const MAY_MOUNT = [
  '--cap-add=SYS_ADMIN',
  ...['seccomp=unconfined', 'systempaths=unconfined', 'apparmor=unconfined'].flatMap((option) => [
    '--security-opt',
    option,
  ]),
];

(process.env.IMAGES === 'all' ? describe : describe.skip)('a whole build', () => {
  let site: BuildingCluster;
  let engine: DockerEngine;
  let small: Partial<BuildSpec>;
  /** Of the bundle that eight callers got. */
  let digest: string;

  beforeAll(async () => {
    site = await startBuildingCluster();
    small = smallBuild(await site.debianMirror());
    engine = await useDocker();
    await loadBuilderImage(engine);
  });

  afterAll(async () => {
    await engine?.docker(['image', 'rm', '--force', IMAGE]);
    await engine?.stop();
    await site?.stop();
  });

  const digestOf = (layout: string): string =>
    JSON.parse(readFileSync(join(site.directory, layout, 'index.json'), 'utf8')).manifests[0].digest;

  /** An object whose bundle comes into a layout of the name; it says which image builds it, whoever does. */
  const written = (name: string, changes: Partial<BuildSpec> = {}, pods: { privileges?: 'none' } = {}) => {
    const bundle = { base: 'none' as const, tag: 'v1', layout: name, builderImage: site.image };
    return site.written(name, pods, { ...small, bundle, ...changes });
  };

  test('eight callers run one Job with one Pod for each stage, and get the same bundle', async () => {
    const names = Array.from({ length: CALLERS }, (_, index) => `caller-${index}`);
    const builds = names.map((name) => site.begin(written(name), { store: `store-${name}` }));
    for (const { exited } of builds) {
      const { status, stderr } = await exited;
      expect([status, stderr]).toEqual([0, expect.stringContaining('bundle: finished')]);
    }
    const [first = '', ...others] = names.map(digestOf);
    expect(new Set(others)).toEqual(new Set([first]));
    digest = first;
    const jobs = JSON.parse(await site.kubectl('get', 'jobs,pods', '--output=json')).items;
    const ofKind = (kind: string) =>
      jobs
        .filter((item: { kind: string }) => item.kind === kind)
        .map(({ metadata: { name } }: { metadata: { name: string } }) => /^ib-([a-z]+)-/.exec(name)?.[1])
        .sort();
    const once = ['builder', 'bundle', 'osconfig', 'qcow', 'rootfs'];
    expect({ jobs: ofKind('Job'), pods: ofKind('Pod') }).toEqual({ jobs: once, pods: once });
  });

  /** Runs a build in a container of the engine that starts no other. @param options of `docker run` */
  const inContainer = (file: string, ...options: string[]) => {
    const volume = `--volume=${site.directory}:${site.directory}`;
    const program = ['image-builder', 'build', file, '--store', join(site.directory, 'store-local')];
    const place = ['--network=host', volume, `--workdir=${site.directory}`];
    return engine.docker(['run', '--rm', ...place, ...options, IMAGE, ...program]);
  };

  test('where Pods may mount, the bundle is that of the executor local with the same tools', async () => {
    await inContainer(written('by-local', LOCAL), ...MAY_MOUNT);
    expect(digestOf('by-local')).toBe(digest);
  });

  test('where Pods may not mount, they make the same with the same keys, as does the executor container', async () => {
    const { store } = JSON.parse(readFileSync(written('as-before'), 'utf8')).spec.build;
    const elsewhere = { store: { ...store, repository: `${store.repository}-none` } };
    const inPods = site.begin(written('by-pods', elsewhere, { privileges: 'none' }), { store: 'store-none' });
    const { status, stderr } = await inPods.exited;
    if (status !== 0) throw new Error(stderr);
    expect(stderr).toContain('rootfs: finished');
    // Jobs are named by keys: these have replaced those of the Pods that may mount.
    expect(await site.jobs()).toHaveLength(4);
    expect(digestOf('by-pods')).toBe(digestOf('by-local'));
    const executor = { container: { image: IMAGE, network: 'host' } };
    const env = { ...site.environment(), ...engine.environment };
    const built = await site.build(written('by-container', { executor, store: undefined } as never), env);
    expect([built.status, built.stderr]).toEqual([0, expect.any(String)]);
    expect(digestOf('by-container')).toBe(digestOf('by-local'));
  });

  test('objects of a directory: what they share is one Job, one that fails leaves the others alone, a table tells', async () => {
    const directory = join(site.directory, 'many');
    mkdirSync(directory);
    const osconfig = { sysctl_append: [{ name: 'vm.swappiness', value: '1' }] };
    const failing = { user_scripts: [{ name: 'fails', file_content: 'exit 3\n', run_contexts: ['qcow'] }] };
    for (const [index, name] of ['blue', 'green', 'red'].entries()) {
      const node = { qcow: { qcow_capacity: `${5 + index}G` }, ...(name === 'red' && { osconfig: failing }) };
      const changes = { rootfs: { ...small.rootfs, osconfig }, qcows: { node } } as Partial<BuildSpec>;
      renameSync(written(name, changes), join(directory, `${name}.yaml`));
    }
    const before = await site.jobs();
    const { status, stderr } = await site.build(directory, site.environment(), '--parallel', '3');
    expect(stderr).toMatch(/^NAME +RESULT +SECONDS +BUNDLE\nblue +built +[\d.]+ +oci:blue:v1@sha256:/m);
    expect(stderr).toMatch(/^green +built +[\d.]+ +oci:green:v1@sha256:.*\nred +failed +[\d.]+$/m);
    expect(stderr).toMatch(/^error: ImageBuilder\/red: .*user_scripts\[0\] \(fails\) ended with status 3/m);
    expect(status).toBe(1);
    const kinds = (await site.jobs())
      .filter((name) => !before.includes(name))
      .map((name) => /ib-([a-z]+)-/.exec(name)?.[1]);
    expect(kinds.sort()).toEqual(['bundle', 'bundle', 'osconfig', 'qcow', 'qcow', 'qcow']);
  });

  test('a Pod that is deleted, an API server that is killed and a registry that is restarted change nothing', async () => {
    const changes = { qcows: { other: { qcow: { qcow_capacity: '4G' } } } };
    const build = site.begin(written('faults', changes), { store: 'store-faults' });
    const inPod = (number: number) =>
      eventually(async () => {
        const [, ...pods] = build.said().split('runs in the Pod ib-qcow-');
        expect(pods).toHaveLength(number);
        expect(pods.at(-1)).toMatch(/qcow\/other: (?!runs in)/);
      });
    const pods = '--selector=app.kubernetes.io/component=stage';
    await inPod(1);
    await site.kubectl('delete', 'pods', pods, '--wait=false');
    await inPod(2);
    site.cluster.killApiServer();
    await site.registry.kill();
    const pushing = () => site.kubectl('logs', pods, '--container=push', '--tail=-1', '--ignore-errors');
    await eventually(async () => expect(await pushing()).toContain('trying again'));
    await site.registry.start();
    const { status, stderr } = await build.exited;
    expect([status, stderr]).toEqual([0, expect.stringContaining('the API server does not answer')]);
    await inContainer(written('undisturbed', { ...changes, ...LOCAL }), ...MAY_MOUNT);
    expect(digestOf('faults')).toBe(digestOf('undisturbed'));
  });
});

/** The image of the Jobs, given to an engine, which may be too old for layers of zstd. */
async function loadBuilderImage({ environment }: DockerEngine): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'tools-'));
  const copy = async (...args: string[]) => {
    const { status, stderr } = await run('skopeo', ['--insecure-policy', 'copy', '--quiet', ...args]);
    if (status !== 0) throw new Error(stderr);
  };
  try {
    const [layout, unpacked] = [join(directory, 'layout'), `dir:${join(directory, 'unpacked')}`];
    await layOutBuilderImage(layout);
    await copy('--dest-decompress', `oci:${layout}:latest`, unpacked);
    const host = environment.DOCKER_HOST ?? 'unix:///var/run/docker.sock';
    await copy('--dest-daemon-host', host, unpacked, `docker-daemon:${IMAGE}`);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

// The executor `container`: a build in the builder image, with the store of this machine.
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from '../../../image-builder/build/build.ts';
import type { ProgressEvent } from '../../../image-builder/diagnostics/progress.ts';
import type { BuildSpec } from '../../../image-builder/spec/types.ts';
import { resolveBuild } from '../../../image-builder/variables/resolve.ts';
import { type DockerEngine, run, useDocker } from '../support/docker.ts';
import { preparedSpec, prepareImage } from '../support/prepared-image.ts';

let engine: DockerEngine;
let image: string;
let directory: string;
let pristineStore: string;
const dockerHost = process.env.DOCKER_HOST;

beforeAll(async () => {
  engine = await useDocker();
  directory = await mkdtemp(join(tmpdir(), 'image-builder-executor-'));
  image = await prepareImage(engine);
  // The root file system of the image saves this test from building another one.
  pristineStore = join(directory, 'pristine');
  const container = (await engine.docker(['create', image])).trim();
  await engine.docker(['cp', `${container}:/var/lib/image-builder/store`, pristineStore]);
  await engine.docker(['rm', container]);
  process.env.DOCKER_HOST = engine.environment.DOCKER_HOST;
});
afterAll(async () => {
  if (dockerHost === undefined) delete process.env.DOCKER_HOST;
  else process.env.DOCKER_HOST = dockerHost;
  await rm(directory, { recursive: true, force: true });
  await engine.stop();
});

/** One QCOW from the prepared root file system. */
async function nodeSpec(): Promise<BuildSpec> {
  return {
    ...(await preparedSpec()),
    qcows: { node: { qcow: { qcow_capacity: '3G' } } },
    bundle: { layout: 'out', tag: 'v1' },
  };
}

interface Surroundings {
  executor: BuildSpec['executor'];
  store: string;
  report?: (event: ProgressEvent) => void;
  signal?: AbortSignal;
}

async function buildWith({ executor, store, report, signal }: Surroundings) {
  const cwd = await mkdtemp(join(directory, 'cwd-'));
  const spec = { ...(await nodeSpec()), ...(executor && { executor }) };
  const resolved = await resolveBuild('contained', spec, { cwd });
  const contents = await build(resolved, {
    cwd,
    store,
    report: report ?? (() => {}),
    signal: signal ?? new AbortController().signal,
  });
  return { contents, layout: join(cwd, 'out') };
}

async function storeCopy(): Promise<string> {
  const path = await mkdtemp(join(directory, 'store-'));
  await cp(pristineStore, path, { recursive: true, preserveTimestamps: true });
  return path;
}

const leftContainers = async () =>
  await engine.docker(['ps', '--all', '--quiet', '--filter', 'name=image-builder-']);

test('gives what the executor local gives with these tools, and is answered from the store the second time', async () => {
  const store = await storeCopy();
  const events: ProgressEvent[] = [];
  const executor = { container: { image, network: 'host' } };
  const { contents, layout } = await buildWith({ executor, store, report: (event) => events.push(event) });
  expect(contents.reference.image).toBe(`oci:out:v1@${contents.reference.digest}`);
  const index = JSON.parse(await readFile(join(layout, 'index.json'), 'utf8'));
  expect(index.manifests[0].digest).toBe(contents.reference.digest);
  expect(contents.artifacts.qcows.node).toMatchObject({ file: 'node.qcow2', virtualSize: 3 * 1024 ** 3 });
  for (const { json } of contents.profiles) expect(JSON.parse(json).image_builder_image).toContain(image);
  expect(events).toContainEqual(
    expect.objectContaining({ type: 'stage', stage: 'qcow/node', status: 'finished' }),
  );

  const again: ProgressEvent[] = [];
  const second = await buildWith({ executor, store, report: (event) => again.push(event) });
  expect(second.contents.reference.digest).toBe(contents.reference.digest);
  expect(again.filter(({ type }) => type === 'step')).toEqual([]);

  // The executor local with the same tools: those of the image.
  const object = {
    apiVersion: 'airshipit.org/v1alpha1',
    kind: 'ImageBuilder',
    metadata: { name: 'contained' },
    spec: { build: await nodeSpec() },
  };
  const local = await engine.docker(
    ['run', '--rm', '--interactive', '--network', 'none', image, 'image-builder', 'build', '-'],
    { input: JSON.stringify(object) },
  );
  expect(local).toContain(contents.reference.digest);
  expect(await leftContainers()).toBe('');
});

test('is stopped with its caller and leaves nothing behind', async () => {
  const store = await storeCopy();
  const controller = new AbortController();
  const report = (event: ProgressEvent) => {
    if (event.type === 'step' && event.stage === 'qcow/node') controller.abort();
  };
  const executor = { container: { image, network: 'host' } };
  await expect(buildWith({ executor, store, report, signal: controller.signal })).rejects.toMatchObject({
    code: 'ABORTED',
  });
  expect(await leftContainers()).toBe('');
  expect(await readdir(join(store, 'work'))).toEqual([]);
});

test('names the field of a mistake that only the build can find', async () => {
  const wrong = { container: { image: 'localhost/there/is/no:such-image', network: 'host' } };
  await expect(buildWith({ executor: wrong, store: await storeCopy() })).rejects.toMatchObject({
    code: 'IMAGE_MISSING',
  });
  const missing = await run(
    'docker',
    ['run', '--rm', '--network', 'none', '-i', image, 'image-builder', 'run-build'],
    {
      env: engine.environment,
      input: 'not JSON\n',
    },
  );
  expect(missing.status).toBe(1);
  expect(JSON.parse(missing.stdout).findings).toHaveLength(1);
});

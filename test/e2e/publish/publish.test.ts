// A bundle, made without a container engine, published under one tag, as everybody sees it who takes it from the registry:
// Docker, podman, kustomize, kpt, init containers, Ironic, and our own reader.
import { createHash } from 'node:crypto';
import { copyFile, cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { type FinishedBundle, type Published, publish } from '../../../image-builder/build/publish.ts';
import { cataloguesOf } from '../../../image-builder/bundle/profile/catalogue.ts';
import { readBundle } from '../../../image-builder/bundle/read/read-bundle.ts';
import { listFiles } from '../../../image-builder/bundle/read/small-files.ts';
import type { BuildSpec } from '../../../image-builder/spec/api/types.ts';
import { resolveBuild } from '../../../image-builder/spec/variables/resolve.ts';
import type { ResolvedBuild } from '../../../image-builder/spec/variables/resolved.ts';
import { localBase, withPinnedBase } from '../../../image-builder/stages/bundle/base-image.ts';
import { functionBase } from '../../../image-builder/stages/bundle/function-base.ts';
import { PERSON, RENDER } from '../../support/policies.ts';
import { bundleOf, makeQcow, writeBundle } from '../bundle/support.ts';
import { buildTarget, type DockerEngine, run, TEST_PREFIX, useDocker } from '../support/docker.ts';
import { chooseByIronic } from '../support/ironic.ts';
import { kustomizes } from '../support/kustomize.ts';
import { metal3Errors } from '../support/metal3.ts';
import { usePodman } from '../support/podman.ts';
import { skopeoCopy, startRegistry, type TestRegistry } from '../support/registry.ts';

const root = join(__dirname, '../../..');
let engine: DockerEngine;
let registry: TestRegistry;
let directory: string;
let published: Published;
let bundle: FinishedBundle;
let resolved: ResolvedBuild;
const functionImage = `${TEST_PREFIX}/function:publish-test`;
const qcow = (name: string) => join(directory, name);
const sha256 = (content: Buffer) => createHash('sha256').update(content).digest('hex');
const options = () => ({
  policy: PERSON,
  cwd: directory,
  defaultLayout: join(directory, 'default'),
  report: () => {},
  signal: new AbortController().signal,
});
const artifacts = () => published.artifacts.qcows;
const tag = () => `${registry.host}/site/bundle:v1`;

async function resolve(changes: BuildSpec['bundle']): Promise<ResolvedBuild> {
  const spec = { bundle: { repository: `${registry.host}/site/bundle`, tag: 'v1', ...changes } };
  return await withPinnedBase(await resolveBuild('test', spec, { cwd: directory }), {
    cwd: directory,
    policy: PERSON,
  });
}

/** A bundle of two QCOWs as the stage `bundle` makes it. */
async function assemble(from: ResolvedBuild, name: string): Promise<FinishedBundle> {
  const base = await localBase(from, join(directory, 'cache'), { ...options(), step: () => {} });
  const files = bundleOf(
    { 'control-plane': qcow('a'), 'data-plane': qcow('b') },
    { architecture: from.rootfs.multistrap.rootfs_arch, ...(base && { base }) },
  );
  const { reference, artifacts } = await writeBundle(
    files,
    { kind: 'layout', path: name, tag: 'x' },
    { cwd: directory },
  );
  return { directory: join(directory, name), digest: reference.digest, artifacts };
}

const blobOf = async ({ directory }: FinishedBundle, digest: string) =>
  JSON.parse(await readFile(join(directory, 'blobs/sha256', digest.slice(7)), 'utf8'));
const manifestOf = (from: FinishedBundle) => blobOf(from, from.digest);
const diffIdsOf = async (from: FinishedBundle) =>
  (await blobOf(from, (await manifestOf(from)).config.digest)).rootfs.diff_ids;

beforeAll(async () => {
  engine = await useDocker();
  directory = await mkdtemp(join(tmpdir(), 'image-builder-publish-'));
  registry = await startRegistry();
  await makeQcow(qcow('a'), 3);
  await makeQcow(qcow('b'), 2);
  await buildTarget(engine, 'function', { tag: functionImage });
  await engine.docker(['save', '--output', join(directory, 'function.tar'), functionImage]);
  resolved = await resolve({ disks: true });
  bundle = await assemble(resolved, 'built');
  published = await publish(resolved, bundle, options());
});
afterAll(async () => {
  await run('docker', ['image', 'rm', '--force', functionImage, tag()], { env: engine.environment });
  await registry.stop();
  await engine.stop();
  await rm(directory, { recursive: true, force: true });
});

const resourceList = `apiVersion: config.kubernetes.io/v1
kind: ResourceList
functionConfig: {apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {}}
items: []
`;

test('the reference has tag and digest, and publishing again sends nothing', async () => {
  expect(published.reference.image).toBe(`${tag()}@${published.reference.digest}`);
  const events: unknown[] = [];
  const again = await publish(resolved, bundle, { ...options(), report: (event) => events.push(event) });
  expect(again).toEqual(published);
  expect(events).toEqual([]);
});

test('a render that may not push answers with what is published, and refuses the rest', async () => {
  const render = { ...options(), policy: RENDER };
  expect(await publish(resolved, bundle, render)).toEqual(published);
  const elsewhere = { ...resolved, bundle: { ...resolved.bundle, tag: 'v2' } };
  await expect(publish(elsewhere, bundle, render)).rejects.toThrow(
    `spec.build.bundle.repository: pushing to ${registry.host}/site/bundle needs permission; allow it with IMAGE_BUILDER_PUSH=${registry.host}/site/bundle (environment)`,
  );
  await expect(readBundle(`${registry.host}/site/bundle:v2`, { cache: false })).rejects.toThrow(
    /MANIFEST_UNKNOWN/,
  );
});

test('our reader takes two requests, as without disks', async () => {
  const reading = await readBundle(tag(), { cache: false });
  expect(reading.reference).toEqual(published.reference);
  expect(reading.profiles.map(({ name }) => name)).toEqual(['profile_multistrap']);
  expect(reading.cost.requests).toBe(2);
  expect(reading.artifacts).toEqual(published.artifacts);
});

test('what it runs on is made for another architecture here, and runs there', async () => {
  const base = await functionBase('arm64', options());
  const tree = join(directory, 'arm64');
  await mkdir(join(tree, 'profiles'), { recursive: true });
  for (const { digest } of base.layers)
    expect(await run('tar', ['-xf', base.blob(digest), '-C', tree])).toMatchObject({ status: 0 });
  await writeFile(join(tree, 'profiles/profile_multistrap.json'), '{"k8s_version":"1.34.2-1.1"}');
  await copyFile('/usr/bin/qemu-aarch64-static', join(tree, 'emulator'));
  const command = [tree, '/emulator', '/usr/bin/node', '/usr/local/bin/function'];
  const ran = await run('chroot', command, { input: resourceList, env: { PATH: '/usr/sbin:/usr/bin' } });
  expect(ran).toMatchObject({ status: 0, stderr: '' });
  expect(parse(ran.stdout).items[0]).toMatchObject({ k8s_version: '1.34.2-1.1' });
  expect(base.config.architecture).toBe('arm64');
});

test('whoever lists the images reads nothing of what the function runs on', async () => {
  const { files, cost } = await listFiles(published.reference.image, ['/qcows'], { cache: false });
  expect(files.map(({ path }) => path)).toContain('/qcows/control-plane.qcow2');
  expect(cost.bytes).toBeLessThan(20e6);
});

test('Docker runs it as a function, as it is', async () => {
  await engine.docker(['pull', '--quiet', tag()]);
  const catalogue = expect.objectContaining({ kind: 'VariableCatalogue', k8s_version: '1.34.2-1.1' });
  const restricted = [
    ...['--network', 'none', '--user', 'nobody', '--read-only', '--cap-drop', 'ALL'],
    '--security-opt=no-new-privileges',
  ];
  for (const options of [[], restricted]) {
    const output = await engine.docker(['run', '--rm', '-i', ...options, tag()], { input: resourceList });
    expect(parse(output).items).toEqual([catalogue]);
  }
  const [image] = JSON.parse(await engine.docker(['image', 'inspect', tag()]));
  expect(image.Config).toMatchObject({ User: '0:0', Entrypoint: ['function'] });
});

test('kustomize runs it as a generator', async () => {
  const path = join(directory, 'kustomization');
  await mkdir(path);
  await writeFile(join(path, 'kustomization.yaml'), 'generators: [profile.yaml]\n');
  await writeFile(
    join(path, 'profile.yaml'),
    `apiVersion: v1
kind: ConfigMap
metadata:
  name: profile
  annotations: {config.kubernetes.io/function: "container: {image: '${published.reference.image}'}"}
data: {configPath: /profiles/profile_multistrap.json, header: "apiVersion: airshipit.org/v1alpha1\\nkind: VariableCatalogue\\nmetadata: {name: c}\\n"}
`,
  );
  for (const [version, kustomize] of await kustomizes()) {
    const args = ['build', '--enable-alpha-plugins', path];
    const result = await run(kustomize, args, { env: engine.environment });
    expect([version, result.status, result.stderr]).toEqual([version, 0, expect.any(String)]);
    expect(parse(result.stdout)).toMatchObject({ kind: 'VariableCatalogue', k8s_version: '1.34.2-1.1' });
  }
});

test('kpt runs it by its name', async () => {
  const empty = join(directory, 'package');
  await mkdir(empty);
  const environment = { ...engine.environment, KPT_FN_RUNTIME: 'docker' };
  const args = ['fn', 'eval', empty, '--output', 'unwrap', '--image', tag(), '--image-pull-policy', 'Never'];
  const result = await run('kpt', [...args, '--', 'configPath=/profiles/profile_multistrap.json'], {
    env: environment,
  });
  expect(result).toMatchObject({ status: 0 });
  expect(parse(result.stdout)).toMatchObject({ kind: 'VariableCatalogue', k8s_version: '1.34.2-1.1' });
});

test('a shell, and what scripts call, are there for whoever looks into it', async () => {
  const script = `set -e
    cat /etc/passwd | sed -n 's/^nobody:.*/nobody is known/p'; ls -d /tmp /qcows; mkdir /tmp/x; id -u
    grep -c BEGIN "$SSL_CERT_FILE" | awk '{ print ($1 > 100) ? "authorities" : "none" }'`;
  const output = await engine.docker([
    ...['run', '--rm', '--network', 'none', '--user', 'nobody', '--entrypoint', 'sh', tag(), '-c', script],
  ]);
  expect(output).toBe('nobody is known\n/qcows\n/tmp\n65534\nauthorities\n');
});

test('what the function runs on is one small layer, the same below every bundle', async () => {
  const other = await assemble(await resolve({ tag: 'other' }), 'other');
  const { layers } = await manifestOf(bundle);
  expect((await manifestOf(other)).layers.slice(0, 2)).toEqual(layers.slice(0, 2));
  const sizes = layers.slice(0, 2).map(({ size }: { size: number }) => size);
  expect(sizes[0] + sizes[1]).toBeLessThan(60e6);
  // What changes with each release lies in a layer of its own.
  expect(sizes[1]).toBeLessThan(2e6);
});

test.each(['0:0', 'nobody'])('an init container copies the images as %s', async (user) => {
  const shared = join(directory, `shared-${user.slice(0, 1)}`);
  await mkdir(shared);
  await run('chmod', ['1777', shared]);
  await engine.docker([
    ...['run', '--rm', '--network', 'none', '--user', user, '--volume', `${shared}:/shared/html/images`],
    ...['--entrypoint', 'sh', tag()],
    ...['-c', 'cp /qcows/*.qcow2 /qcows/*.qcow2.md5sum /shared/html/images/'],
  ]);
  const copied = await readFile(join(shared, 'control-plane.qcow2'));
  expect(copied.equals(await readFile(qcow('a')))).toBe(true);
});

test('podman takes the image out of the index, and runs it', async () => {
  const podman = await usePodman(join(directory, 'podman'));
  try {
    const pulled = await podman.run(['podman', 'pull', '--quiet', '--tls-verify=false', tag()]);
    expect(pulled).toMatchObject({ status: 0 });
    await writeFile(join(directory, 'input'), resourceList);
    const script = 'podman run --rm -i --network none --user nobody "$1" <"$2"';
    const ran = await podman.run(['sh', '-c', script, 'sh', tag(), join(directory, 'input')]);
    if (ran.status !== 0) throw new Error(ran.stderr);
    expect(parse(ran.stdout).items[0]).toMatchObject({ k8s_version: '1.34.2-1.1' });
  } finally {
    await podman.dispose();
  }
});

test('an image as base gives the same by a registry as by an archive, and its layers are not sent again', async () => {
  await skopeoCopy(`docker-archive:${directory}/function.tar`, `docker://${registry.host}/site/function:v1`);
  const overArchive = await assemble(await resolve({ base: 'docker-archive:function.tar' }), 'archived');
  const other = await resolve({ base: `${registry.host}/site/function:v1`, tag: 'v2' });
  expect((other.bundle.base as { digest?: string }).digest).toMatch(/^sha256:/);
  const rebuilt = await assemble(other, 'rebuilt');
  expect(await diffIdsOf(rebuilt)).toEqual(await diffIdsOf(overArchive));
  const steps: string[] = [];
  const report = (event: { type: string; message?: string }) => {
    if (event.type === 'step') steps.push(event.message ?? '');
  };
  await publish(
    { ...other, bundle: { ...other.bundle, repository: `${registry.host}/mirror/bundle` } },
    rebuilt,
    { ...options(), report },
  );
  const baseLayers = JSON.parse(
    (await run('skopeo', ['inspect', '--tls-verify=false', `docker://${registry.host}/site/function:v1`]))
      .stdout,
  ).Layers;
  for (const layer of baseLayers)
    expect(steps.filter((step) => step.startsWith(layer.slice(0, 19)))).toEqual([
      expect.stringMatching(/mounted$/),
    ]);
});

test('examples/metal3 gives the disk to a machine template and a host', async () => {
  const example = join(directory, 'examples/metal3');
  await cp(join(root, 'examples/metal3'), example, { recursive: true });
  await symlink(join(root, 'dist'), join(directory, 'dist'));
  const config = await readFile(join(example, 'image-builder.yaml'), 'utf8');
  const published = config.replace('registry.example.org/site/qcow-bundle:k8s-1.37-latest', tag());
  await writeFile(join(example, 'image-builder.yaml'), published);
  for (const [version, kustomize] of await kustomizes()) {
    const result = await run(kustomize, ['build', '--enable-alpha-plugins', '--enable-exec', example]);
    expect([version, result.status, result.stderr]).toEqual([version, 0, '']);
    const [template, host, ...others] = parseAllDocuments(result.stdout).map((one) => one.toJS());
    expect(others).toEqual([]);
    const { oci } = artifacts()['control-plane'] ?? {};
    expect(oci).toMatch(/^oci:\/\/127\.0\.0\.1:\d+\/site\/bundle@sha256:[0-9a-f]{64}$/);
    expect(template.spec.template.spec.image).toEqual({ url: oci });
    expect(host.spec.image).toEqual({ url: oci });
    expect([template, host].map(metal3Errors)).toEqual([[], []]);
  }
});

describe('Ironic', () => {
  let secure: TestRegistry;
  let there: Published;
  beforeAll(async () => {
    secure = await startRegistry({ tls: true });
    const environment = { SSL_CERT_FILE: secure.caFile };
    const at = await resolve({
      disks: true,
      repository: `${secure.host}/site/bundle`,
    });
    there = await publish(at, bundle, { ...options(), env: environment });
  });
  afterAll(() => secure.stop());

  test('takes the disk that the catalogue names', async () => {
    for (const [name, file] of [
      ['control-plane', 'a'],
      ['data-plane', 'b'],
    ] as const) {
      const href = there.artifacts.qcows[name]?.oci ?? '';
      expect(href).toMatch(/^oci:\/\/127\.0\.0\.1:\d+\/site\/bundle@sha256:[0-9a-f]{64}$/);
      const target = join(directory, 'downloaded');
      const { chosen, checksum } = await chooseByIronic(href, {
        ca: secure.caFile ?? '',
        architecture: 'x86_64',
        target,
      });
      const expected = await readFile(qcow(file));
      expect(chosen).toMatchObject({ image_checksum: sha256(expected), oci_image_manifest_url: href });
      expect(checksum).toBe(`sha256:${sha256(expected)}`);
      expect((await readFile(target)).equals(expected)).toBe(true);
    }
  });

  test('chooses a disk by the tag', async () => {
    const target = join(directory, 'downloaded');
    const href = `oci://${secure.host}/site/bundle:v1`;
    const { chosen } = await chooseByIronic(href, {
      ca: secure.caFile ?? '',
      architecture: 'x86_64',
      target,
    });
    expect(chosen).toMatchObject({ image_filename: 'control-plane.qcow2', image_disk_format: 'qcow2' });
    expect((await readFile(target)).equals(await readFile(qcow('a')))).toBe(true);
  });

  test('finds none for another architecture', async () => {
    const target = join(directory, 'downloaded');
    const href = `oci://${secure.host}/site/bundle:v1`;
    await expect(
      chooseByIronic(href, { ca: secure.caFile ?? '', architecture: 'aarch64', target }),
    ).rejects.toThrow();
  });

  test('the catalogue has the references where replacements look for them', () => {
    const contents = { ...there, profiles: [] };
    const artifacts = cataloguesOf(contents, { name: 'x' }).at(-1);
    expect(artifacts).toMatchObject({
      bundle: { image: there.reference.image },
      qcows: { 'control-plane': { oci: there.artifacts.qcows['control-plane']?.oci } },
    });
  });
});

// Catalogues out of a bundle that was written by the engine: standalone from every local form, under real kustomize
// with examples/extract.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { writeBundle } from '../bundle/support.ts';
import { executable, run } from '../support/executables.ts';
import { kustomizeVersions } from '../support/kustomize.ts';
import { metal3Errors } from '../support/metal3.ts';

const root = join(__dirname, '../../..');
const fn = executable('image-builder-fn');
let directory: string;
let qcow: string;
const at = (name: string) => join(directory, name);

/** What YAML readers like to spoil, in a profile. */
const MULTISTRAP =
  '{"k8s_version": "1.34.2-1.1", "mode": "0755", "flag": "on", "short": "1.20", "exact": 1.20, "big": 9223372036854775807}';
const QCOW = '{"img_name": "control-plane", "qcow_capacity": "19G"}';

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'extract-e2e-'));
  qcow = at('control-plane.qcow2');
  writeFileSync(at('raw'), Buffer.alloc(1 << 20, 'image'));
  execFileSync('qemu-img', ['convert', '-O', 'qcow2', at('raw'), qcow]);
  const profile = (name: string, json: string) => ({ path: `/profiles/${name}.json`, name, json });
  const files = {
    qcows: [{ name: 'control-plane', path: qcow }],
    profiles: [profile('profile_multistrap', MULTISTRAP), profile('profile_qcow_control-plane', QCOW)],
    created: 1_700_000_000,
    architecture: 'amd64',
    labels: {},
  } as const;
  mkdirSync(at('examples'));
  for (const [kind, path] of [
    ['layout', 'examples/node-image/out'],
    ['archive', 'bundle.tar'],
  ] as const) {
    await writeBundle(
      { ...files, profiles: [...files.profiles] as never, qcows: [...files.qcows] },
      { kind, path, tag: 'latest' },
      { cwd: directory },
    );
  }
  execFileSync('skopeo', [
    'copy',
    '--quiet',
    `oci:${at('examples/node-image/out')}:latest`,
    `docker-archive:${at('docker.tar')}:site/qcow-bundle:v1`,
  ]);
  for (const name of ['extract', 'metal3-http'])
    cpSync(join(root, 'examples', name), at(`examples/${name}`), { recursive: true });
  symlinkSync(dirname(fn), at('dist'));
});
afterAll(() => rmSync(directory, { recursive: true }));

const sha256 = () => createHash('sha256').update(readFileSync(qcow)).digest('hex');

describe('every local form of a bundle', () => {
  test.each([
    'oci:examples/node-image/out',
    'oci:examples/node-image/out:latest',
    'oci-archive:bundle.tar',
    'docker-archive:docker.tar',
  ])('%s', (image) => {
    const config = at('config.yaml');
    const head = 'apiVersion: airshipit.org/v1alpha1\nkind: ImageBuilder\nmetadata: {name: published}\n';
    writeFileSync(
      config,
      `${head}spec:\n  bundle: {image: '${image}'}\n  catalogue: {imageBaseURL: 'http://192.0.2.1'}\n`,
    );
    const { stdout, stderr, status } = run([fn, config], { cwd: directory });
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    const [multistrap, qcowProfile, artifacts, ...others] = parseAllDocuments(stdout).map((document) =>
      document.toJS(),
    );
    expect(others).toEqual([]);
    expect(stdout).toContain(
      'mode: "0755"\nflag: "on"\nshort: "1.20"\nexact: 1.20\nbig: 9223372036854775807\n',
    );
    expect(multistrap.metadata).toEqual({ name: 'profile_multistrap' });
    expect(multistrap.kubernetes).toEqual({ version: 'v1.34.2' });
    expect(qcowProfile).toMatchObject({
      metadata: { name: 'profile_qcow_control-plane' },
      qcow_capacity: '19G',
    });
    expect(artifacts).toMatchObject({
      kind: 'VariableCatalogue',
      metadata: { name: 'published-artifacts' },
      bundle: { digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) },
      qcows: {
        'control-plane': {
          file: 'control-plane.qcow2',
          url: 'http://192.0.2.1/control-plane.qcow2',
          checksum: sha256(),
          checksumType: 'sha256',
          format: 'qcow2',
          size: readFileSync(qcow).length,
          virtualSize: 1 << 20,
        },
      },
    });
    expect(artifacts.bundle.image.endsWith(`@${artifacts.bundle.digest}`)).toBe(true);
  });
});

test('many bundles in one object are those of an object each', () => {
  const images = { layout: 'oci:examples/node-image/out', archive: 'oci-archive:bundle.tar' };
  const catalogue = { imageBaseURL: 'http://192.0.2.1', labels: { site: 'a' } };
  const answer = (name: string, spec: object) => {
    const object = { apiVersion: 'airshipit.org/v1alpha1', kind: 'ImageBuilder', metadata: { name }, spec };
    writeFileSync(at('config.yaml'), JSON.stringify(object));
    const { stdout, stderr, status } = run([fn, at('config.yaml')], { cwd: directory });
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    return stdout;
  };
  const bundles = Object.fromEntries(Object.entries(images).map(([name, image]) => [name, { image }]));
  const alone = Object.entries(images).map(([name, image]) =>
    answer(name, { bundle: { image }, catalogue }).replaceAll('name: profile_', `name: ${name}-profile_`),
  );
  expect(answer('site', { bundles, catalogue })).toBe(alone.join('---\n'));
});

describe.each(kustomizeVersions())('kustomize %s', (version, kustomize) => {
  const testIf = kustomize === undefined ? test.skip : test;
  const build = (path: string) =>
    run([kustomize ?? '', 'build', '--enable-alpha-plugins', '--enable-exec', path], {
      cwd: '/',
      // The bundle is that of another example.
      env: { ...process.env, IMAGE_BUILDER_ALLOW_PATHS: at('examples/node-image') },
    });

  testIf('examples/extract', () => {
    const { stdout, stderr, status } = build(at('examples/extract'));
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    const cluster = `apiVersion: controlplane.cluster.x-k8s.io/v1beta1
kind: KubeadmControlPlane
metadata:
  name: control-plane
spec:
  version: v1.34.2
---
apiVersion: metal3.io/v1alpha1
kind: BareMetalHost
metadata:
  name: node-1
spec:
  image:
    checksum: ${sha256()}
    checksumType: sha256
    format: qcow2
    url: http://192.0.2.10/images/control-plane.qcow2
  online: true
`;
    // kustomize 4.5.4 drops objects with local-config too.
    expect({ version, stdout }).toEqual({ version, stdout: cluster });
  });

  testIf('examples/metal3-http: each API of Metal3 gets its image as it writes it', () => {
    const { stdout, stderr, status } = build(at('examples/metal3-http'));
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    const objects = parseAllDocuments(stdout).map((document) => document.toJS());
    expect(objects.map(metal3Errors)).toEqual([[], [], []]);
    const file = {
      url: 'http://192.0.2.10/images/control-plane.qcow2',
      checksum: sha256(),
      checksumType: 'sha256',
    };
    expect(objects.map(({ apiVersion, spec }) => [apiVersion, (spec.template?.spec ?? spec).image])).toEqual([
      ['infrastructure.cluster.x-k8s.io/v1beta1', { ...file, format: 'qcow2' }],
      ['infrastructure.cluster.x-k8s.io/v1beta2', { ...file, diskFormat: 'qcow2' }],
      ['metal3.io/v1alpha1', { ...file, format: 'qcow2' }],
    ]);
  });

  testIf('two ImageBuilders fit one kustomization by a prefix, and collide without', () => {
    const example = at(`examples/two-${version}`);
    mkdirSync(example);
    const object = (name: string, catalogue: string) =>
      `apiVersion: airshipit.org/v1alpha1\nkind: ImageBuilder\nmetadata:\n  name: ${name}\n  annotations:\n    config.kubernetes.io/function: "exec: {path: ../../dist/image-builder-fn}"\nspec:\n  bundle: {image: 'oci:../node-image/out'}\n  catalogue: ${catalogue}\n`;
    writeFileSync(join(example, 'kustomization.yaml'), 'generators: [blue.yaml, green.yaml]\n');
    writeFileSync(join(example, 'blue.yaml'), object('blue', '{}'));
    writeFileSync(join(example, 'green.yaml'), object('green', '{}'));
    const collision = build(example);
    expect(collision.status).not.toBe(0);
    expect(collision.stderr).toContain('profile_multistrap');
    writeFileSync(join(example, 'green.yaml'), object('green', '{namePrefix: green-}'));
    const names = parseAllDocuments(build(example).stdout).map((document) => document.toJS().metadata.name);
    expect(names.sort()).toEqual([
      ...['blue-artifacts', 'green-green-artifacts', 'green-profile_multistrap'],
      ...['green-profile_qcow_control-plane', 'profile_multistrap', 'profile_qcow_control-plane'],
    ]);
  });

  testIf('objects among the resources are done by one process, and are no part of the output', () => {
    const example = at(`examples/items-${version}`);
    mkdirSync(example);
    const starts = join(example, 'starts');
    const counting = `#!/bin/sh\necho started >>${starts}\nexec ${fn} "$@"\n`;
    writeFileSync(join(example, 'function'), counting, { mode: 0o755 });
    const head = 'apiVersion: airshipit.org/v1alpha1\nkind: ImageBuilder\n';
    const exec = 'config.kubernetes.io/function: "exec: {path: ./function}"';
    const names = ['blue', 'green', 'red'];
    writeFileSync(
      join(example, 'kustomization.yaml'),
      'resources: [sites.yaml]\ntransformers: [images.yaml]\n',
    );
    writeFileSync(
      join(example, 'images.yaml'),
      `${head}metadata: {name: images, annotations: {${exec}}}\nspec: {items: {labelSelector: tier=edge}, catalogue: {labels: {site: all}}}\n`,
    );
    const site = (name: string, tier: string) =>
      `${head}metadata: {name: ${name}, labels: {tier: ${tier}}, annotations: {config.kubernetes.io/local-config: "true"}}\nspec:\n  bundle: {image: 'oci:../node-image/out', profiles: [{path: /profiles/profile_multistrap.json}]}\n  catalogue: {namePrefix: ${name}-}\n`;
    const sites = [...names.map((name) => site(name, 'edge')), site('other', 'core')];
    writeFileSync(join(example, 'sites.yaml'), sites.join('---\n'));
    const { stdout, stderr, status } = build(example);
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    const objects = parseAllDocuments(stdout).map((document) => document.toJS());
    expect(objects.map(({ kind, metadata }) => [kind, metadata.name, metadata.labels]).sort()).toEqual(
      names
        .flatMap((name) => [`${name}-profile_multistrap`, `${name}-${name}-artifacts`])
        .sort()
        .map((name) => ['VariableCatalogue', name, { site: 'all' }]),
    );
    expect(readFileSync(starts, 'utf8')).toBe('started\n');
  });

  testIf('without the local-config annotation the catalogues are part of the output, types intact', () => {
    const example = at(`examples/visible-${version}`);
    cpSync(at('examples/extract'), example, { recursive: true });
    const config = join(example, 'image-builder.yaml');
    writeFileSync(
      config,
      readFileSync(config, 'utf8').replace(/ {4}annotations:\n.*\n.*local-config.*\n/, ''),
    );
    const objects = parseAllDocuments(build(example).stdout).map((document) => document.toJS());
    expect(objects.map(({ kind, metadata }) => `${kind}/${metadata.name}`)).toEqual([
      'VariableCatalogue/published-artifacts',
      'VariableCatalogue/versions',
      'KubeadmControlPlane/control-plane',
      'BareMetalHost/node-1',
    ]);
    expect(objects[1]).toMatchObject({
      mode: '0755',
      flag: 'on',
      short: '1.20',
      exact: 1.2,
      k8s_version: '1.34.2-1.1',
    });
    expect(objects[1].metadata).toEqual({ name: 'versions' });
  });

  testIf.each([
    ['a bundle that does not exist', 'oci:../node-image/out', 'oci:nothing', 'spec.bundle.image'],
    [
      'a bundle elsewhere on this machine',
      'oci:../node-image/out',
      'oci:../../',
      'is outside the paths that this spec may use; allow it with --allow-path',
    ],
    [
      'an unknown field',
      'profiles:',
      'profile:',
      'spec.bundle.profile: unknown field; did you mean profiles?',
    ],
    ['a profile that the bundle does not have', 'profile_multistrap', 'profile_nothing', 'profile_nothing'],
    [
      'a path outside of /profiles',
      '/profiles/profile_multistrap',
      '/profiles/../qcows/x',
      'spec.bundle.profiles[0].path',
    ],
  ])('%s fails the build and says where', (_what, before, after, message) => {
    const example = at(`examples/broken-${version}`);
    rmSync(example, { recursive: true, force: true });
    cpSync(at('examples/extract'), example, { recursive: true });
    const config = join(example, 'image-builder.yaml');
    writeFileSync(config, readFileSync(config, 'utf8').replace(before, after));
    const { stdout, stderr, status } = build(example);
    expect(status).not.toBe(0);
    expect(stdout).toBe('');
    expect(stderr).toContain(message);
  });
});

test('the results tell what the read cost', () => {
  const input = `apiVersion: config.kubernetes.io/v1
kind: ResourceList
items: []
functionConfig:
  apiVersion: airshipit.org/v1alpha1
  kind: ImageBuilder
  metadata: {name: x}
  spec: {bundle: {image: 'oci:examples/node-image/out'}}
`;
  const { stdout } = run([fn], { input, cwd: directory });
  expect(parse(stdout).results).toEqual([
    expect.objectContaining({
      severity: 'info',
      tags: expect.objectContaining({ requests: expect.any(String) }),
    }),
  ]);
});

const kpt = run(['kpt', 'version']).status === 0 ? test : test.skip;

kpt('under kpt every catalogue gets a file of its own, and a second run changes nothing', () => {
  const files = at('package');
  mkdirSync(files);
  const kept = '# kept\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: kept\ndata:\n  mode: 0755\n';
  writeFileSync(join(files, 'kept.yaml'), kept);
  const head = 'apiVersion: airshipit.org/v1alpha1\nkind: ImageBuilder\nmetadata: {name: published}\n';
  writeFileSync(at('kpt.yaml'), `${head}spec: {bundle: {image: 'oci:examples/node-image/out'}}\n`);
  const evaluate = () =>
    run(['kpt', 'fn', 'eval', files, '--exec', fn, '--fn-config', at('kpt.yaml')], { cwd: directory });
  const read = () => readdirSync(files).map((name) => [name, readFileSync(join(files, name), 'utf8')]);
  expect(evaluate().status).toBe(0);
  const first = read();
  expect(first.map(([name]) => name)).toEqual([
    'kept.yaml',
    'variablecatalogue_profile_multistrap.yaml',
    'variablecatalogue_profile_qcow_control-plane.yaml',
    'variablecatalogue_published-artifacts.yaml',
  ]);
  expect(first[0]).toEqual(['kept.yaml', kept]);
  expect(first[1]?.[1]).toContain('mode: "0755"\nflag: "on"\nshort: "1.20"\nexact: 1.20\n');
  expect(evaluate().status).toBe(0);
  expect(read()).toEqual(first);
});

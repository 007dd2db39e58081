// The function and bundle images as their users run them: kustomize, kpt, init containers.
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import {
  buildBundleImage,
  buildTarget,
  type DockerEngine,
  run,
  TEST_PREFIX,
  useDocker,
} from '../support/docker.ts';
import { kustomizes } from '../support/kustomize.ts';
import { startRegistry } from '../support/registry.ts';

const root = resolve(__dirname, '../../..');
const PROFILE = {
  k8s_version: '1.21.2-00',
  multistrap_retries: 3,
  systemd_nic_names_policy: 'kernel database',
  directories: [{ name: '/a', permissions: '0755' }],
  switch: 'on',
  version: '1.20',
  grub: { GRUB_TIMEOUT: 0, GRUB_CMDLINE_LINUX_DEFAULT: [{ name: 'console', value: 'ttyS0,115200n8' }] },
};
/** What kustomize passes to every container function (contract of kustomize 4.5 to 5.6). */
const KUSTOMIZE_RUN = [
  ...['run', '--rm', '-i', '--network', 'none', '--user', 'nobody', '--security-opt=no-new-privileges'],
  ...['-e', 'LOG_TO_STDERR=true', '-e', 'STRUCTURED_RESULTS=true'],
];

let engine: DockerEngine;
let directory: string;
const functionImage = `${TEST_PREFIX}/function:under-test`;
const bundleImage = `${TEST_PREFIX}/bundle:under-test`;

beforeAll(async () => {
  engine = await useDocker();
  directory = await mkdtemp(join(tmpdir(), 'image-builder-function-image-'));
  await buildTarget(engine, 'function', { tag: functionImage });
  await buildBundleImage(
    engine,
    {
      '/profiles/profile_multistrap.json': JSON.stringify(PROFILE),
      '/profiles/profile_qcow_control-plane.json': '{"qcow_capacity": "19G"}',
      '/qcows/control-plane.qcow2': 'a disk',
      '/qcows/control-plane.qcow2.md5sum': 'd41d8cd98f00b204e9800998ecf8427e\n',
    },
    bundleImage,
  );
});

afterAll(async () => {
  await run('docker', ['image', 'rm', '--force', functionImage, bundleImage], { env: engine.environment });
  await rm(directory, { recursive: true, force: true });
  await engine.stop();
});

const resourceList = (functionConfig: string, items = '[]') =>
  `apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nfunctionConfig: ${functionConfig}\nitems: ${items}\n`;
const configMap = (data: string) => `{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: ${data}}`;

describe('the image', () => {
  test('runs as kustomize starts it, on a read-only file system, from the profiles that it carries', async () => {
    const output = await engine.docker([...KUSTOMIZE_RUN, '--read-only', bundleImage], {
      input: resourceList(configMap('{configPath: /profiles/profile_qcow_control-plane.json}')),
    });
    expect(parse(output)).toMatchObject({
      kind: 'ResourceList',
      items: [{ kind: 'VariableCatalogue', qcow_capacity: '19G' }],
    });
  });

  test('says what it is without input and without a network', async () => {
    expect(await engine.docker(['run', '--rm', '--network', 'none', functionImage, '--help'])).toContain(
      'functionConfig',
    );
  });

  test('is not root, is small, and says where it comes from', async () => {
    const [image] = JSON.parse(await engine.docker(['image', 'inspect', functionImage]));
    expect(image.Config.User).toBe('65534:65534');
    expect(image.Config.Entrypoint).toEqual(['function']);
    expect(image.Config.Cmd ?? []).toEqual([]);
    for (const label of [
      'title',
      'authors',
      'url',
      'documentation',
      'source',
      'vendor',
      'licenses',
      'created',
      'revision',
    ]) {
      expect(image.Config.Labels).toHaveProperty([`org.opencontainers.image.${label}`]);
    }
    const size = await run('sh', ['-c', `docker save ${functionImage} | gzip -1 | wc -c`], {
      env: engine.environment,
    });
    expect(Number(size.stdout)).toBeLessThan(60e6);
  });

  test('is an init container that copies the images, with checksums without file names', async () => {
    const shared = join(directory, 'shared');
    await mkdir(shared);
    await engine.docker([
      ...[
        'run',
        '--rm',
        '--network',
        'none',
        '--volume',
        `${shared}:/shared/html/images`,
        '--entrypoint',
        'sh',
      ],
      ...[bundleImage, '-c', 'cp /qcows/*.qcow2 /qcows/*.qcow2.md5sum /shared/html/images/'],
    ]);
    expect(await readFile(join(shared, 'control-plane.qcow2'), 'utf8')).toBe('a disk');
    expect(await readFile(join(shared, 'control-plane.qcow2.md5sum'), 'utf8')).toMatch(/^[0-9a-f]{32}\n$/);
  });

  test('answers a wrong functionConfig with an error and every item', async () => {
    const result = await run('docker', [...KUSTOMIZE_RUN, functionImage], {
      env: engine.environment,
      input: resourceList(
        configMap('{configPath: /etc/passwd}'),
        '[{apiVersion: v1, kind: A, metadata: {name: a}}]',
      ),
    });
    expect(result.status).toBe(1);
    expect(parse(result.stdout).items).toHaveLength(1);
    expect(result.stderr).toContain('data.configPath');
  });
});

describe('kustomize', () => {
  const annotated = (container: string, data: string) => `apiVersion: v1
kind: ConfigMap
metadata:
  name: profile
  annotations:
    config.kubernetes.io/function: |
      container: ${container}
data:
${data}
`;

  async function kustomization(files: Record<string, string>): Promise<string> {
    const kustomizationDirectory = await mkdtemp(join(directory, 'kustomization-'));
    for (const [name, text] of Object.entries(files))
      await writeFile(join(kustomizationDirectory, name), text);
    return kustomizationDirectory;
  }

  test('takes the catalogue from the bundle, with and without the header of the predecessor', async () => {
    const header = [
      '  configPath: /profiles/profile_multistrap.json',
      '  header: |',
      '    apiVersion: airshipit.org/v1alpha1',
      '    kind: VariableCatalogue',
      '    metadata:',
      '      name: versions-of-the-bundle',
    ].join('\n');
    const path = await kustomization({
      'kustomization.yaml': 'generators: [profile.yaml]\n',
      'profile.yaml': annotated(`{image: "${bundleImage}"}`, header),
    });
    for (const [version, kustomize] of await kustomizes()) {
      const result = await run(kustomize, ['build', '--enable-alpha-plugins', path], {
        env: engine.environment,
      });
      expect([version, result.status, result.stderr]).toEqual([version, 0, expect.any(String)]);
      expect(parse(result.stdout)).toEqual({
        apiVersion: 'airshipit.org/v1alpha1',
        kind: 'VariableCatalogue',
        metadata: { name: 'versions-of-the-bundle' },
        ...PROFILE,
      });
      // Text that looks like another type is still text.
      expect(result.stdout).toMatch(/permissions: ["']0755["']/);
      expect(result.stdout).toMatch(/version: ["']1\.20["']/);
      expect(result.stdout).toMatch(/switch: ["']on["']/);
    }
  });

  test('hands the catalogue of a nested base to replacements', async () => {
    const path = await kustomization({
      'profile.yaml': annotated(
        `{image: "${bundleImage}"}`,
        '  configPath: /profiles/profile_multistrap.json',
      ),
      'plane.yaml':
        'apiVersion: controlplane.cluster.x-k8s.io/v1beta1\nkind: KubeadmControlPlane\nmetadata: {name: cp}\nspec: {version: v0.0.0}\n',
      'kustomization.yaml': `generators: [profile.yaml]
resources: [plane.yaml]
replacements:
- source: {kind: VariableCatalogue, name: profile_multistrap, fieldPath: k8s_version, options: {delimiter: "-", index: 0}}
  targets:
  - select: {kind: KubeadmControlPlane}
    fieldPaths: [spec.version]
    options: {delimiter: v, index: 1}
`,
    });
    for (const [version, kustomize] of await kustomizes()) {
      const result = await run(kustomize, ['build', '--enable-alpha-plugins', path], {
        env: engine.environment,
      });
      expect([version, result.status, result.stderr]).toEqual([version, 0, expect.any(String)]);
      const plane = parseAllDocuments(result.stdout)
        .map((document) => document.toJS())
        .find(({ kind }) => kind === 'KubeadmControlPlane');
      expect(plane.spec.version).toBe('v1.21.2');
    }
  });

  test.each([
    ['container-function', ['version: v1.21.2']],
    // The predecessor's kustomization, unchanged but for the image's name.
    ['predecessor', ['version: v1.21.2', 'console: ttyS0,115200n8', 'kind: VariableCatalogue']],
  ])('renders examples/%s with this bundle', async (name, expected) => {
    const example = join(root, 'examples', name);
    const files: Record<string, string> = {};
    for (const file of await readdir(example)) {
      const text = await readFile(join(example, file), 'utf8');
      files[file] = text.replace(/image: quay\.io\S+/, `image: ${bundleImage}`);
    }
    const path = await kustomization(files);
    for (const [version, kustomize] of await kustomizes()) {
      const result = await run(kustomize, ['build', '--enable-alpha-plugins', path], {
        env: engine.environment,
      });
      expect([version, result.status, result.stderr]).toEqual([version, 0, expect.any(String)]);
      for (const text of expected) expect(result.stdout).toContain(text);
    }
  });

  test('shows the error of a wrong path', async () => {
    const path = await kustomization({
      'kustomization.yaml': 'generators: [profile.yaml]\n',
      'profile.yaml': annotated(`{image: "${bundleImage}"}`, '  configPath: /profiles/nothing.json'),
    });
    for (const [, kustomize] of await kustomizes()) {
      const result = await run(kustomize, ['build', '--enable-alpha-plugins', path], {
        env: engine.environment,
      });
      expect(result.status).not.toBe(0);
      expect(result.stderr).toContain('/profiles/nothing.json');
      expect(result.stderr).not.toContain('MalformedYAML');
    }
  });
});

describe('extraction from a registry', () => {
  const imageBuilder = (network: boolean, image: string) => `apiVersion: airshipit.org/v1alpha1
kind: ImageBuilder
metadata:
  name: node-image
  annotations:
    config.kubernetes.io/function: |
      container: {image: "${functionImage}", network: ${network}}
spec:
  bundle: {image: "${image}"}
`;

  test('works in a container with network: true, and says what is missing without', async () => {
    const registry = await startRegistry();
    const published = `${registry.host}/site/qcow-bundle:v1`;
    try {
      await engine.docker(['tag', bundleImage, published]);
      await engine.docker(['push', '--quiet', published]);
      const path = async (network: boolean) => {
        const kustomizationDirectory = await mkdtemp(join(directory, 'registry-'));
        await writeFile(
          join(kustomizationDirectory, 'kustomization.yaml'),
          'generators: [image-builder.yaml]\n',
        );
        await writeFile(join(kustomizationDirectory, 'image-builder.yaml'), imageBuilder(network, published));
        return kustomizationDirectory;
      };
      const [online, offline] = [await path(true), await path(false)];
      for (const [version, kustomize] of await kustomizes()) {
        const options = { env: engine.environment };
        const built = await run(kustomize, ['build', '--enable-alpha-plugins', '--network', online], options);
        expect([version, built.status, built.stderr]).toEqual([version, 0, expect.any(String)]);
        const objects = parseAllDocuments(built.stdout).map((document) => document.toJS());
        expect(objects.map(({ metadata }) => metadata.name).sort()).toEqual([
          'node-image-artifacts',
          'profile_multistrap',
          'profile_qcow_control-plane',
        ]);
        const refused = await run(kustomize, ['build', '--enable-alpha-plugins', offline], options);
        expect(refused.status).not.toBe(0);
        expect(refused.stderr).toContain(registry.host);
      }
    } finally {
      await run('docker', ['image', 'rm', '--force', published], { env: engine.environment });
      await registry.stop();
    }
  });
});

const hasKpt = run('kpt', ['version']).then(
  ({ status }) => status === 0,
  () => false,
);

describe('kpt', () => {
  test('evaluates and renders the bundle as a function, and shows its documentation', async () => {
    if (!(await hasKpt))
      return console.warn('kpt is not on PATH: the container function is not tried with it');
    const kptPackage = await mkdtemp(join(directory, 'package-'));
    await writeFile(
      join(kptPackage, 'Kptfile'),
      `apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata: {name: p}\npipeline:\n  mutators:\n  - image: ${bundleImage}\n    configPath: profile.yaml\n`,
    );
    await writeFile(
      join(kptPackage, 'profile.yaml'),
      'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: profile\n  annotations: {config.kubernetes.io/local-config: "true"}\ndata:\n  configPath: /profiles/profile_multistrap.json\n',
    );
    await writeFile(
      join(kptPackage, 'kept.yaml'),
      '# a comment\napiVersion: v1\nkind: A\nmetadata: {name: a}\nvalue: 0755\n',
    );
    const options = { env: engine.environment };
    const rendered = await run(
      'kpt',
      ['fn', 'render', kptPackage, '--image-pull-policy', 'IfNotPresent'],
      options,
    );
    expect(rendered).toMatchObject({ status: 0 });
    expect(await readFile(join(kptPackage, 'kept.yaml'), 'utf8')).toContain('value: 0755');
    const names = (await run('grep', ['-rl', 'kind: VariableCatalogue', kptPackage])).stdout;
    expect(names).toContain('.yaml');
    const evaluated = await run(
      'kpt',
      [
        'fn',
        'eval',
        kptPackage,
        '--image',
        bundleImage,
        '--image-pull-policy',
        'IfNotPresent',
        '--',
        'configPath=/profiles/profile_qcow_control-plane.json',
      ],
      options,
    );
    expect(evaluated).toMatchObject({ status: 0 });
    expect((await run('grep', ['-r', 'qcow_capacity', kptPackage])).stdout).toContain('19G');
    const documentation = await run('kpt', ['fn', 'doc', '--image', functionImage], options);
    expect(documentation.stdout + documentation.stderr).toContain('functionConfig');
  });
});

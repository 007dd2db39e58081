// The function under real kustomize, both major versions, on the examples; the whole output is compared.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { executable, inBundle, run } from '../support/executables.ts';
import { kustomizeVersions } from '../support/kustomize.ts';

const root = join(__dirname, '../../..');
let directory: string;
let profiles: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kustomize-e2e-'));
  profiles = join(directory, 'profiles');
  mkdirSync(profiles);
  const grub = {
    GRUB_CMDLINE_LINUX_DEFAULT: [{ name: 'console', value: 'ttyS0,115200n8' }, { name: 'quiet' }],
  };
  const profile = {
    k8s_version: '1.21.2-00',
    mode: '0755',
    flag: 'on',
    version: '1.20',
    exponent: '1e3',
    script: '\n\tif true; then\n\t\techo "a: b"\n\tfi\n',
    grub,
  };
  writeFileSync(join(profiles, 'profile_multistrap.json'), JSON.stringify(profile));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Where a bare name of an exec function is found. */
const env = { ...process.env, PATH: `${dirname(executable('image-builder-fn'))}:${process.env.PATH}` };
const EXEC = 'exec: {path: image-builder-fn}';

describe.each(kustomizeVersions())('kustomize %s', (_version, kustomize) => {
  const testIf = kustomize === undefined ? test.skip : test;
  const build = (path: string) =>
    run(inBundle(profiles, [kustomize ?? '', 'build', '--enable-alpha-plugins', '--enable-exec', path]), {
      env,
    });

  testIf('examples/predecessor', () => {
    const example = join(directory, 'example');
    cpSync(join(root, 'examples/predecessor'), example, { recursive: true });
    // The container's part is played by a mount namespace with its /profiles.
    const config = join(example, 'catalogue.yaml');
    const inContainer = readFileSync(config, 'utf8');
    const onHost = inContainer.replace(/container:\n\s+image: .*/, EXEC);
    expect(onHost).not.toBe(inContainer);
    writeFileSync(config, onHost);
    const { stdout, stderr, status } = build(example);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toBe(`apiVersion: airshipit.org/v1alpha1
exponent: "1e3"
flag: "on"
grub:
  GRUB_CMDLINE_LINUX_DEFAULT:
  - name: console
    value: ttyS0,115200n8
  - name: quiet
k8s_version: 1.21.2-00
kind: VariableCatalogue
metadata:
  labels:
    airshipit.org/deploy-k8s: "false"
  name: profile_multistrap
mode: "0755"
script: "\\n\\tif true; then\\n\\t\\techo \\"a: b\\"\\n\\tfi\\n"
version: "1.20"
---
apiVersion: controlplane.cluster.x-k8s.io/v1beta1
kind: KubeadmControlPlane
metadata:
  annotations:
    console: ttyS0,115200n8
  name: control-plane
spec:
  version: v1.21.2
`);
  });

  const write = (files: Record<string, string>) => {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  };
  const CONFIG = `apiVersion: v1
kind: ConfigMap
metadata:
  name: catalogue
  annotations:
    config.kubernetes.io/function: "${EXEC}"
data: {configPath: /profiles/profile_multistrap.json}
`;

  testIf('as a transformer, a second run updates what the first has made', () => {
    const second = CONFIG.replace('name: catalogue', 'name: again');
    const item =
      'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kept}\ndata: {mode: "0755", flag: "on"}\n';
    write({
      'kustomization.yaml': 'resources: [item.yaml]\ntransformers: [one.yaml, two.yaml]\n',
      'one.yaml': CONFIG,
      'two.yaml': second,
      'item.yaml': item,
    });
    const { stdout, status } = build(directory);
    expect(status).toBe(0);
    expect(stdout).toBe(`apiVersion: v1
data:
  flag: "on"
  mode: "0755"
kind: ConfigMap
metadata:
  name: kept
---
apiVersion: airshipit.org/v1alpha1
exponent: "1e3"
flag: "on"
grub:
  GRUB_CMDLINE_LINUX_DEFAULT:
  - name: console
    value: ttyS0,115200n8
  - name: quiet
k8s_version: 1.21.2-00
kind: VariableCatalogue
metadata:
  name: profile_multistrap
mode: "0755"
script: "\\n\\tif true; then\\n\\t\\techo \\"a: b\\"\\n\\tfi\\n"
version: "1.20"
`);
  });

  testIf('an error fails the build, and its text reaches the user', () => {
    write({
      'kustomization.yaml': 'generators: [config.yaml]\n',
      'config.yaml': CONFIG.replace('/profiles/profile_multistrap.json', '/profiles/../etc/passwd'),
    });
    const { stdout, stderr, status } = build(directory);
    expect(status).not.toBe(0);
    expect(stdout).toBe('');
    expect(stderr).toContain('data.configPath: /profiles/../etc/passwd is outside /profiles');
    expect(stderr).not.toContain('MalformedYAMLError');
  });
});

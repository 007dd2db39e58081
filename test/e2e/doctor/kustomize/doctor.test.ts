// Each warning of the doctor on a machine, or a kustomization, that really has the trouble; and that the trouble is
// real: what kustomize does with it.
import { chmod, copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { run } from '../../support/docker.ts';
import { executable } from '../../support/executables.ts';
import { kustomizes } from '../../support/kustomize.ts';
import { ordinaryUser } from '../../support/ordinary-user.ts';

let directory: string;
let program: string;
/** Executables that stand before the real ones on PATH. */
let bin: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'image-builder-doctor-test-'));
  await chmod(directory, 0o755);
  // Where any user can start it.
  program = join(directory, 'image-builder');
  await copyFile(executable('image-builder'), program);
  bin = join(directory, 'bin');
  await mkdir(bin);
  // No guest is started where the test is about something else.
  await put('qemu-system-x86_64', 'exit 1');
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function put(name: string, script: string, where = bin): Promise<void> {
  await writeFile(join(where, name), `#!/bin/sh\n${script}\n`);
  await chmod(join(where, name), 0o755);
}

interface Examination {
  kustomization?: string;
  environment?: NodeJS.ProcessEnv;
  /** Path prefix; default: that without guests. */
  path?: string;
  /** Command line that starts the doctor as somebody else. */
  as?: string[];
  format?: 'plain' | 'json';
}

async function examine({
  kustomization,
  environment,
  path = bin,
  as = [],
  format = 'plain',
}: Examination = {}) {
  const doctor = ['--log-format', format, 'doctor', kustomization ?? bin];
  const [file = '', ...args] = [...as, process.execPath, program, ...doctor];
  const result = await run(file, args, {
    cwd: directory,
    env: { ...process.env, PATH: `${path}:${process.env.PATH}`, ...environment },
  });
  return { ...result, lines: result.stdout.trim().split('\n') };
}

const asUser = ({ uid, gid }: { uid: number; gid: number }) => [
  ...['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--'],
];

test('what is rendered is checked for what Metal3 refuses', async () => {
  const path = await kustomization({
    'out.yaml': `apiVersion: v1
kind: ConfigMap
metadata: {name: other}
---
apiVersion: metal3.io/v1alpha1
kind: BareMetalHost
metadata: {name: node-1}
spec: {image: {url: 'oci://r.example.org/a@sha256:aa', checksum: aa}}
`,
  });
  const rendered = await examine({ kustomization: join(path, 'out.yaml') });
  expect(rendered.status).toBe(1);
  expect(rendered.lines.filter((line) => line.startsWith('error:'))).toEqual([
    expect.stringMatching(
      /^error: spec.image.checksum: BareMetalHost\/node-1 has checksum beside an oci:.*out.yaml\) \[METAL3_CHECKSUM_UNWANTED\]$/,
    ),
  ]);

  const { lines } = await examine({ kustomization: join(path, 'out.yaml'), format: 'json' });
  const findings = lines.map((line) => JSON.parse(line));
  expect(findings.filter(({ code }) => code === 'METAL3_CHECKSUM_UNWANTED')).toMatchObject([
    { type: 'finding', severity: 'error', field: 'spec.image.checksum' },
  ]);
  expect(findings.filter(({ code, tags }) => (code === undefined) === (tags.outcome !== 'ok'))).toEqual([]);
});

async function kustomization(files: Record<string, string>): Promise<string> {
  const path = await mkdtemp(join(directory, 'kustomization-'));
  for (const [name, text] of Object.entries(files)) await writeFile(join(path, name), text);
  return path;
}

/** A function that passes everything through, or with `catalogue` adds one. */
async function functionConfig(answer: 'identity' | 'catalogue'): Promise<string> {
  const path = join(directory, answer);
  const addition =
    '- {apiVersion: airshipit.org/v1alpha1, kind: VariableCatalogue, metadata: {name: c}, version: v1.2.3}';
  const edit =
    answer === 'identity' ? 'cat' : `sed 's/^items: *\\[\\]/items:/; s/^items:/items:\\n${addition}/'`;
  await put(answer, edit, directory);
  return `apiVersion: airshipit.org/v1alpha1
kind: ImageBuilder
metadata:
  name: f
  annotations:
    config.kubernetes.io/function: "exec: {path: ${path}}"
spec: {bundle: {image: "oci:a"}}
`;
}

const CONSUMER =
  'apiVersion: example.org/v1\nkind: Consumer\nmetadata: {name: consumer}\nspec: {version: none}\n';
const REPLACEMENTS = `replacements:
- source: {kind: VariableCatalogue, name: c, fieldPath: version}
  targets: [{select: {kind: Consumer}, fieldPaths: [spec.version]}]
`;

describe('kustomizations', () => {
  test('a function without --enable-exec: kustomize leaves it out and says nothing', async () => {
    const path = await kustomization({
      'kustomization.yaml': 'generators: [f.yaml]\nresources: [consumer.yaml]\n',
      'f.yaml': await functionConfig('catalogue'),
      'consumer.yaml': CONSUMER,
    });
    for (const [, kustomize] of await kustomizes()) {
      const built = await run(kustomize, ['build', '--enable-alpha-plugins', path]);
      expect([built.status, parseAllDocuments(built.stdout)]).toMatchObject([0, { length: 1 }]);
    }
    const { lines, status } = await examine({ kustomization: path });
    expect(lines).toContainEqual(
      expect.stringMatching(/^warning: .*without --enable-exec kustomize silently skips it/),
    );
    expect(status).toBe(0);
  });

  test('validators: kustomize fails with one that changes nothing', async () => {
    const path = await kustomization({
      'kustomization.yaml': 'validators: [f.yaml]\nresources: [consumer.yaml]\n',
      'f.yaml': await functionConfig('identity'),
      'consumer.yaml': CONSUMER,
    });
    for (const [, kustomize] of await kustomizes()) {
      const built = await run(kustomize, ['build', '--enable-alpha-plugins', '--enable-exec', path]);
      expect(built.status).not.toBe(0);
    }
    const { lines, status } = await examine({ kustomization: path });
    expect(lines).toContainEqual(expect.stringMatching(/^error: validators\[0\]: .*last under transformers/));
    expect(status).toBe(1);
  });

  test('replacements beside a transformer: kustomize replaces before the catalogue is there', async () => {
    const files = { 'f.yaml': await functionConfig('catalogue'), 'consumer.yaml': CONSUMER };
    const late = await kustomization({
      ...files,
      'kustomization.yaml': `transformers: [f.yaml]\nresources: [consumer.yaml]\n${REPLACEMENTS}`,
    });
    for (const [, kustomize] of await kustomizes()) {
      const built = await run(kustomize, ['build', '--enable-alpha-plugins', '--enable-exec', late]);
      expect(built.stdout).not.toContain('spec:\n  version: v1.2.3');
    }
    const { lines, status } = await examine({ kustomization: late });
    expect(lines).toContainEqual(
      expect.stringMatching(/^error: replacements\[0\]\.source: .*list the function under generators/),
    );
    expect(status).toBe(1);
  });
});

describe('this machine', () => {
  test.each([
    ['v4.4.1', 'error: kustomize 4.4.1 is too old'],
    ['{Version:kustomize/v4.5.4 GitCommit:x}', 'warning: kustomize 4.5.4'],
    ['v5.5.0', 'ok: kustomize 5.5.0'],
  ])('kustomize that says %s', async (version, line) => {
    const path = await mkdtemp(join(directory, 'bin-'));
    await put('kustomize', `echo '${version}'`, path);
    const { lines } = await examine({ path: `${path}:${bin}` });
    expect(lines).toContainEqual(expect.stringContaining(line));
  });

  test('an engine whose daemon is not there, and one that does not let this user in', async () => {
    const absent = await examine({ environment: { DOCKER_HOST: `unix://${directory}/nothing.sock` } });
    expect(absent.lines).toContainEqual(
      expect.stringMatching(/^warning: docker is installed but does not answer: .*is the daemon running/),
    );
    const user = ordinaryUser();
    if (!user) return console.warn('there is no ordinary user: the refusal is not tried');
    const socket = join(directory, 'refusing.sock');
    const server = net.createServer();
    await new Promise<void>((done) => server.listen(socket, done));
    try {
      await chmod(socket, 0o600);
      const refused = await examine({
        environment: { DOCKER_HOST: `unix://${socket}`, HOME: directory },
        as: asUser(user),
      });
      expect(refused.lines).toContainEqual(
        expect.stringMatching(/^warning: docker .*permission denied.*add the user to the group docker/),
      );
    } finally {
      server.close();
    }
  });

  test('a user without subordinate ids, and one who has them', async () => {
    const nobody = await examine({
      as: asUser({ uid: 65534, gid: 65534 }),
      environment: { HOME: directory },
    });
    for (const file of ['/etc/subuid', '/etc/subgid'])
      expect(nobody.lines).toContainEqual(
        expect.stringMatching(new RegExp(`^error: ${file}: .*usermod --add-subuids `)),
      );
    expect(nobody.status).toBe(1);
    const user = ordinaryUser();
    if (!user) return console.warn('there is no ordinary user with subordinate ids');
    const { lines } = await examine({ as: asUser(user), environment: { HOME: directory } });
    expect(lines).toContain('ok: user namespaces work');
    expect(lines).toContain('ok: the tools for QCOWs are installed');
  });

  test('KVM whose guests never end, as in a broken nested machine', async () => {
    if ((await run('test', ['-w', '/dev/kvm'])).status !== 0)
      return console.warn('there is no usable /dev/kvm: its failure is not tried');
    const path = await mkdtemp(join(directory, 'bin-'));
    const qemu = (await run('which', ['qemu-system-x86_64'])).stdout.trim();
    await put(
      'qemu-system-x86_64',
      `case "$*" in *'-accel kvm'*) exec sleep 600;; esac\nexec ${qemu} "$@"`,
      path,
    );
    const hanging = await examine({ path });
    expect(hanging.lines).toContainEqual(
      expect.stringMatching(
        /^warning: KVM does not work here \(guest ended with timeout\): boot tests use emulation/,
      ),
    );
    await put(
      'qemu-system-x86_64',
      `case "$*" in *'-accel kvm'*) echo 'failed to initialize kvm' >&2; exit 1;; esac\nexec ${qemu} "$@"`,
      path,
    );
    const failing = await examine({ path });
    expect(failing.lines).toContainEqual(expect.stringContaining('failed to initialize kvm'));
  });
});

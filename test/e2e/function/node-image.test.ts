// The main job on examples/node-image: a real image built under real kustomize, wrong objects, and a build that is ended
// by a signal. Everything is built once; the second kustomize is answered from the store.
import { execFileSync, spawn } from 'node:child_process';
import { createHash, generateKeyPairSync } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { executable, run } from '../support/executables.ts';
import { kustomizes } from '../support/kustomize.ts';
import { startRegistry } from '../support/registry.ts';

const root = join(__dirname, '../../..');
const fn = executable('image-builder-fn');
let directory: string;
let example: string;
let env: NodeJS.ProcessEnv;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'node-image-e2e-'));
  example = join(directory, 'examples/node-image');
  cpSync(join(root, 'examples/node-image'), example, {
    recursive: true,
    filter: (path) => !path.endsWith('/out'),
  });
  symlinkSync(dirname(fn), join(directory, 'dist'));
  mkdirSync(join(directory, 'tmp'));
  env = { ...process.env, IMAGE_BUILDER_STORE: join(directory, 'store'), TMPDIR: join(directory, 'tmp') };
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const config = () => readFileSync(join(example, 'image-builder.yaml'), 'utf8');
const resourceList = (functionConfig: string) =>
  `apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems:\n- kind: Kept # as it is\nfunctionConfig:\n${functionConfig.replace(/^/gm, '  ').trimEnd()}\n`;

/** Processes that have the directory in their command line, working directory or root. */
function processesIn(path: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const links = ['cwd', 'root'].map((link) => readlinkSync(`/proc/${pid}/${link}`));
        return [readFileSync(`/proc/${pid}/cmdline`, 'utf8'), ...links].some((text) => text.includes(path));
      } catch {
        return false;
      }
    });
}

/** Nothing of a build is left but what the store keeps on purpose. */
function expectNothingLeft(): void {
  expect(processesIn(directory)).toEqual([]);
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(directory);
  expect(readdirSync(join(directory, 'tmp'))).toEqual([]);
  const work = join(directory, 'store/work');
  expect(existsSync(work) ? readdirSync(work) : []).toEqual([]);
  expect(existsSync(join(example, 'out'))).toBe(false);
}

describe('what cannot be built', () => {
  const partitions =
    '[{mount: /, part_start: 1MiB, part_end: 600MiB}, {mount: /srv, part_start: 500MiB, part_end: 700MiB}]';
  const retries = 'multistrap:\n        multistrap_retries: 0\n';
  test.each([
    [
      'partitions that overlap',
      'qcow_capacity: 4G',
      `partitions: ${partitions}`,
      'spec.build.qcows.control-plane.qcow.partitions[1].part_start',
      'overlaps',
    ],
    [
      'partitions that do not fit',
      'qcow_capacity: 4G',
      'qcow_capacity: 1G',
      'spec.build.qcows.control-plane.qcow.partitions',
      '',
    ],
    [
      'an unknown distribution',
      'debian-13',
      'debian-99',
      'spec.build.distribution',
      'no distribution "debian-99"',
    ],
    [
      'a package that does not exist',
      '- containerd\n',
      '- containerd-nope\n',
      'spec.build.rootfs.multistrap.packages',
      'containerd-nope',
    ],
    [
      'a mirror that cannot be reached',
      'distribution: debian-13\n    rootfs:\n      multistrap:\n',
      `mirror: http://127.0.0.1:1/debian\n    rootfs:\n      ${retries}`,
      'spec.build.mirror',
      'http://127.0.0.1:1/debian',
    ],
  ])('%s', (_what, before, after, field, message) => {
    const changed = config().replace(before, after);
    expect(changed).not.toBe(config());
    const input = resourceList(changed);
    const { stdout, stderr, status } = run([fn], { input, env, cwd: example });
    expect(status).toBe(1);
    expect(stdout.startsWith(input)).toBe(true);
    const { results } = parse(stdout);
    const result = results.find((one: { field?: { path: string } }) => one.field?.path.startsWith(field));
    expect(result).toMatchObject({ severity: 'error', message: expect.stringContaining(message) });
    expect(stderr).toContain(`error: ImageBuilder/node-image: ${field}`);
    expectNothingLeft();
  });
});

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)(
  '%s in the middle of a build: nothing is left, everything comes back',
  async (signal, expected) => {
    const input = resourceList(config());
    const child = spawn(fn, { env, cwd: example });
    child.stdin.end(input);
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    const isBusy = new Promise<void>((resolve) => {
      child.stderr.on('data', (chunk) => {
        stderr += chunk;
        if (stderr.includes('rootfs: choose and fetch')) resolve();
      });
    });
    const ended = new Promise((resolve) => child.on('close', (code, by) => resolve(code ?? by)));
    await Promise.race([isBusy, ended]);
    await new Promise((resolve) => setTimeout(resolve, 2000));
    child.kill(signal);
    expect({ status: await ended, stderr }).toEqual({
      status: expected,
      stderr: expect.stringContaining(`error: ImageBuilder/node-image: interrupted by ${signal}`),
    });
    expect(stdout.startsWith(input)).toBe(true);
    expectNothingLeft();
  },
);

test('builds the image, and carries it into the cluster', async () => {
  const outputs = new Set<string>();
  for (const [, kustomize] of (await kustomizes()).reverse()) {
    const { stdout, stderr, status } = run(
      [kustomize, 'build', '--enable-alpha-plugins', '--enable-exec', example],
      { env },
    );
    expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
    outputs.add(stdout);
  }
  // Every kustomize gives the same.
  expect(outputs.size).toBe(1);
  const [stdout = ''] = outputs;
  const { digest, sha256, sha512, md5, size, rootFSUUID } = published();
  const documents = stdout.split(/^---\n/m);
  expect(documents[0]).toBe(`apiVersion: airshipit.org/v1alpha1
bundle:
  digest: ${digest}
  image: oci:out:latest@${digest}
kind: VariableCatalogue
metadata:
  labels:
    airshipit.org/deploy-k8s: "false"
  name: node-image-artifacts
qcows:
  control-plane:
    checksum: ${sha256}
    checksumType: sha256
    file: control-plane.qcow2
    format: qcow2
    image:
      v1beta1:
        checksum: ${sha256}
        checksumType: sha256
        format: qcow2
        url: http://192.0.2.10/images/control-plane.qcow2
      v1beta2:
        checksum: ${sha256}
        checksumType: sha256
        diskFormat: qcow2
        url: http://192.0.2.10/images/control-plane.qcow2
    md5: ${md5}
    rootFSUUID: ${rootFSUUID}
    sha256: ${sha256}
    sha512: ${sha512}
    size: ${size}
    url: http://192.0.2.10/images/control-plane.qcow2
    virtualSize: 4294967296
`);
  const objects = parseAllDocuments(stdout).map((document) => document.toJS());
  expect(objects.map(({ kind, metadata }) => `${kind}/${metadata.name}`)).toEqual([
    'VariableCatalogue/node-image-artifacts',
    'VariableCatalogue/profile_multistrap',
    'VariableCatalogue/profile_qcow_control-plane',
    'MachineDeployment/worker',
    'KubeadmControlPlane/control-plane',
    'Metal3MachineTemplate/node',
  ]);
  // Nobody has asked for a version: it is that of the package.
  for (const catalogue of objects.slice(1, 3))
    expect(catalogue).toMatchObject({
      kubernetes: { version: 'v1.32.3' },
      inventory_hostname_short: 'localhost',
    });
  const cluster = readFileSync(join(example, 'cluster.yaml'), 'utf8')
    .replaceAll('version: replaced', 'version: v1.32.3')
    .replace('url: replaced', 'url: http://192.0.2.10/images/control-plane.qcow2')
    .replace('checksum: replaced', `checksum: ${sha256}`)
    .replace('checksumType: replaced', 'checksumType: sha256')
    .replace('format: replaced', 'format: qcow2');
  const expected = parseAllDocuments(cluster).map((document) => document.toJS());
  expect(objects.slice(3)).toEqual([expected[1], expected[0], expected[2]]);
});

test('the image boots to its login prompt under BIOS, with the banner that osconfig set', () => {
  const qcow = join(directory, 'control-plane.qcow2');
  const command = [executable('image-builder'), '--verbose', 'boot-test', qcow] as [string, ...string[]];
  const { status, stderr } = run([...command, '--firmware', 'bios', '--timeout', '600'], { env });
  expect({ status, stderr }).toEqual({
    status: 0,
    stderr: expect.stringContaining('Built by Image Builder'),
  });
  // Without a config drive, too, everything starts.
  expect(stderr).not.toMatch(/^warning: /m);
});

test('the image boots under UEFI before it is published, and that is signed and can be demanded', async () => {
  const registry = await startRegistry();
  try {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const keys = { secret: join(directory, 'key.pem'), public: join(directory, 'key.pub') };
    writeFileSync(keys.secret, privateKey.export({ type: 'pkcs8', format: 'pem' }));
    writeFileSync(keys.public, publicKey.export({ type: 'spki', format: 'pem' }));
    const object = parse(config());
    const repository = `${registry.host}/site/node`;
    object.spec.build.bundle = { repository, tag: 'v1', attest: {} };
    object.spec.build.bootTest = { timeout: 600, firmware: ['uefi'] };
    const file = join(directory, 'attested.yaml');
    writeFileSync(file, JSON.stringify(object));
    const signing = {
      ...env,
      IMAGE_BUILDER_SIGNING_KEY: keys.secret,
      IMAGE_BUILDER_CACHE: join(directory, 'cache'),
    };
    const cli = executable('image-builder');
    const built = run([cli, 'build', file], { env: signing, cwd: example });
    expect({ status: built.status, stderr: built.status === 0 ? '' : built.stderr }).toEqual({
      status: 0,
      stderr: '',
    });
    const everything = ['--require', 'signature,provenance,sbom,bootTest', '--output', 'json'];
    const verified = run([cli, 'verify', `${repository}:v1`, '--key', keys.public, ...everything], {
      env: signing,
    });
    const stderr = verified.status === 0 ? '' : verified.stderr;
    expect({ status: verified.status, stderr }).toEqual({ status: 0, stderr: '' });
    const { trusted } = JSON.parse(verified.stdout);
    expect(trusted.map(({ kind }: { kind: string }) => kind).sort()).toEqual([
      ...['bootTest', 'provenance', 'sbom', 'signature'],
    ]);
    const entries = join(directory, 'store/entries');
    const [boot = ''] = readdirSync(entries).filter((name) => name.startsWith('boot-test-'));
    expect(readFileSync(join(entries, boot, 'console.txt'), 'utf8')).toContain('Built by Image Builder');
    // What is signed is what the machine has seen, and how long that took.
    const compared = run([cli, 'diff', `${repository}:v1`, `${repository}:v1`, '--output', 'json'], {
      env: signing,
    });
    expect(JSON.parse(compared.stdout).evidence.boots).toMatchObject([
      { test: 'control-plane/uefi', after: { seconds: expect.any(Number), accelerator: expect.any(String) } },
    ]);
  } finally {
    await registry.stop();
  }
});

test('an image that does not boot is not published; what was there before stays', () => {
  const index = readFileSync(join(example, 'out/index.json'), 'utf8');
  const broken = join(directory, 'broken.yaml');
  writeFileSync(
    broken,
    config().replace(
      'control-plane:\n        qcow:',
      'control-plane:\n        osconfig: {grub_cmdline_linux_default_append: [{name: rdinit, value: /bin/false}]}\n        qcow:',
    ),
  );
  const cli = executable('image-builder');
  const failed = run([cli, 'build', broken, '--boot-test', '600'], { env, cwd: example });
  expect({ status: failed.status, stdout: failed.stdout }).toEqual({ status: 1, stdout: '' });
  expect(failed.stderr).toMatch(/error: .*does not boot: the kernel panicked/);
  expect(failed.stderr).toContain('Kernel panic - not syncing');
  expect(readFileSync(join(example, 'out/index.json'), 'utf8')).toBe(index);
  expect(readdirSync(join(directory, 'store/work'))).toEqual([]);
  // The image that was published is still known to be good, and found at once.
  const again = run([cli, 'build', join(example, 'image-builder.yaml')], { env, cwd: example });
  expect(again.status).toBe(0);
  expect(again.stderr).not.toMatch(/rootfs|osconfig|qcow\//);

  // Of a directory with several objects, the failure of one is its own.
  const site = join(example, 'site');
  mkdirSync(site);
  for (const [name, layout] of Object.entries({ blue: 'out-blue', green: 'out-green', outside: '/nowhere' }))
    writeFileSync(
      join(site, `${name}.yaml`),
      config()
        .replace(/(metadata:\n {2}name: ).*/, `$1${name}`)
        .replace('layout: out\n', `layout: ${layout}\n`),
    );
  const many = run([cli, 'build', 'site', '--parallel', '2'], { env, cwd: example });
  expect(many.status).toBe(1);
  expect(many.stderr).toMatch(
    /^blue +cached +\d+\.\d +oci:out-blue:.*\ngreen +cached .*\noutside +failed +\d/m,
  );
  expect(many.stderr).toMatch(/error: ImageBuilder\/outside: spec\.build\.bundle\.layout: \/nowhere/);
  expect(parseAllDocuments(many.stdout).filter((document) => document.get('bundle'))).toHaveLength(2);
  expect(existsSync(join(example, 'out-green/index.json'))).toBe(true);
});

/** The manifest of the layout, and the checksums of the QCOW in it, computed by other tools than ours. */
function published() {
  const blob = (digest: string) => join(example, 'out/blobs', digest.replace(':', '/'));
  const { manifests } = JSON.parse(readFileSync(join(example, 'out/index.json'), 'utf8'));
  const digest: string = manifests[0].digest;
  const { layers } = JSON.parse(readFileSync(blob(digest), 'utf8'));
  const file = 'qcows/control-plane.qcow2';
  const layer = layers
    .map((one: { digest: string }) => blob(one.digest))
    .find((path: string) =>
      execFileSync('tar', ['-tf', path], { encoding: 'utf8' }).split('\n').includes(file),
    );
  const qcow = join(directory, 'control-plane.qcow2');
  writeFileSync(qcow, execFileSync('tar', ['-xOf', layer, file], { maxBuffer: 1 << 30 }));
  execFileSync('qemu-img', ['check', '-q', qcow]);
  const content = readFileSync(qcow);
  const hex = (algorithm: string) => createHash(algorithm).update(content).digest('hex');
  const sums = { sha256: hex('sha256'), sha512: hex('sha512'), md5: hex('md5') };
  return { digest, ...sums, size: content.length, rootFSUUID: rootUUID(qcow) };
}

/** UUID of the file system on the first partition, as blkid finds it. */
function rootUUID(qcow: string): string {
  const raw = join(directory, 'control-plane.raw');
  execFileSync('qemu-img', ['convert', '-O', 'raw', qcow, raw]);
  const { partitiontable } = JSON.parse(execFileSync('sfdisk', ['--json', raw], { encoding: 'utf8' }));
  const offset = partitiontable.partitions[0].start * partitiontable.sectorsize;
  const options = ['-p', '-O', `${offset}`, '-o', 'value', '-s', 'UUID'];
  const uuid = execFileSync('blkid', [...options, raw], { encoding: 'utf8' }).trim();
  rmSync(raw);
  return uuid;
}

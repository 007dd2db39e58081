// The predecessor's make targets on a small set of manifests, for real: one root file system, everything cut from it,
// the skip switches, publishing; and what the command line says when a build fails.
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { executable, run } from '../support/executables.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';

const cwd = mkdtempSync(join(tmpdir(), 'make-'));
const store = join(cwd, 'store');
const makefile = join(__dirname, '../../../Makefile');
const cli = executable('image-builder');
const env = { ...process.env, IMAGE_BUILDER_STORE: store };
const PASSWORD_HASH = '$6$salt$neverShown';
let registry: TestRegistry;

const make = (targets: string[], variables: Record<string, string> = {}) => {
  const settings = { IMAGE_BUILDER: cli, BOOT_TIMEOUT: '0', IMAGE_TAG: 'v1', ...variables };
  const assignments = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  return run(['make', '--file', makefile, ...targets, ...assignments], { cwd, env });
};
const write = (path: string, text: string) => {
  mkdirSync(join(cwd, 'manifests', path, '..'), { recursive: true });
  writeFileSync(join(cwd, 'manifests', path), text);
};
const KERNEL = 'kernel_base_pkg: linux-image-cloud-amd64\n';
const layout = 'oci:out/qcow-bundle:v1-debian_trixie';
const digestOf = (reference: string) =>
  JSON.parse(execFileSync('skopeo', ['inspect', '--tls-verify=false', reference], { cwd, encoding: 'utf8' }))
    .Digest as string;
const profile = () => {
  const path = '/profiles/profile_multistrap.json';
  return run([cli, 'extract', layout, path], { cwd, env }).stdout;
};

beforeAll(async () => {
  write('rootfs/multistrap-vars.yaml', `${KERNEL}packages: [dbus, live-boot]\n`);
  write('rootfs/osconfig-vars.yaml', 'sysctl: [{name: vm.swappiness, value: 1}]\n');
  write('qcow-bundle/node/qcow-vars.yaml', 'qcow_capacity: 3G\n');
  write('iso/user_data', '#cloud-config\n');
  write('iso/network_data.json', '{"links": []}\n');
  registry = await startRegistry();
  expect(make(['build'])).toMatchObject({ status: 0 });
});
afterAll(async () => {
  await registry.stop();
  rmSync(cwd, { recursive: true, force: true });
});

test('build makes the root file system, and only that', () => {
  const kinds = readdirSync(join(store, 'entries')).map((name) => name.split('-')[0]);
  expect(kinds.sort()).toEqual(['osconfig', 'rootfs']);
});

test('help names targets and variables', () => {
  const { stdout } = make(['help']);
  expect(stdout).toMatch(/^ {2}cut_image +One image type, /m);
  expect(stdout).toMatch(/^ {2}DISTRO +Distribution of the images\. \[debian_trixie\]$/m);
});

test('package_qcow makes the bundle of each directory, cut_image its QCOWs beside the variables', () => {
  // The predecessor's default, in the environment or not: all.
  const result = make(['package_qcow'], { QCOW_BUNDLE_DIRS: '' });
  expect(result).toMatchObject({ status: 0, stderr: expect.stringContaining('osconfig: cached') });
  // As `IMAGE_TYPE = qcow # iso | qcow` of a makefile leaves it.
  expect(make(['cut_image'], { IMAGE_TYPE: 'qcow # iso | qcow' })).toMatchObject({ status: 0 });
  const info = execFileSync('qemu-img', ['info', 'manifests/qcow-bundle/node.qcow2'], {
    cwd,
    encoding: 'utf8',
  });
  expect(info).toContain('virtual size: 3 GiB');
});

test('a bundle directory of any name and place is built, and nothing else', () => {
  const elsewhere = join(cwd, 'elsewhere/site-bundle');
  mkdirSync(join(elsewhere, 'edge'), { recursive: true });
  writeFileSync(join(elsewhere, 'edge/qcow-vars.yaml'), 'qcow_capacity: 3G\n');
  const cut = make(['cut_image'], { IMAGE_TYPE: 'qcow', QCOW_BUNDLE: `${elsewhere}/`, IMAGE_TAG: '' });
  expect(cut).toMatchObject({ status: 0 });
  const md5 = execFileSync('md5sum', [join(elsewhere, 'edge.qcow2')], { encoding: 'utf8' }).slice(0, 32);
  expect(readFileSync(join(elsewhere, 'edge.qcow2.md5sum'), 'utf8')).toBe(`${md5}\n`);
  expect(readdirSync(elsewhere).sort()).toEqual([
    ...['edge', 'edge.qcow2', 'edge.qcow2.md5sum', 'profile_multistrap.json', 'profile_qcow_edge.json'],
  ]);
  const layoutOf = (tag: string) => run(['skopeo', 'inspect', `oci:out/site-bundle:${tag}`], { cwd });
  expect(layoutOf('debian_trixie')).toMatchObject({ status: 0 });
  expect(make(['package_qcow'], { QCOW_BUNDLE_DIRS: elsewhere })).toMatchObject({ status: 0 });
  expect(layoutOf('v1-debian_trixie')).toMatchObject({ status: 0 });
  expect(make(['clean'], { QCOW_BUNDLE: elsewhere, QCOW_BUNDLE_DIRS: elsewhere })).toMatchObject({
    status: 0,
  });
  expect(readdirSync(elsewhere)).toEqual(['edge']);
});

test.each([
  [
    'no bundle directory',
    ['package_qcow'],
    { WORKDIR: 'elsewhere' },
    /no directory elsewhere\/qcow-bundle\*/,
  ],
  ['one that is not there', ['package_qcow'], { QCOW_BUNDLE_DIRS: 'none' }, /manifests\/none is not a dir/],
  ['another type', ['cut_image'], { IMAGE_TYPE: 'raw' }, /IMAGE_TYPE is "raw", expected iso or qcow/],
  ['two words', ['build'], { WORKDIR: 'a b' }, /WORKDIR is "a b", expected one word/],
  ['a file that is not read', ['cut_image'], { user_data: 'x' }, /user_data: not read; the files are/],
])('%s is an error', (_, targets, variables, message) => {
  const { status, stderr } = make(targets, variables as Record<string, string>);
  expect(status).toBeGreaterThan(0);
  expect(stderr).toMatch(message);
});

test('the profile of the last build is that of later targets, which say so', () => {
  const profileOf = (extra: Record<string, string>) => {
    const echo = make(['--dry-run', 'package_qcow'], extra);
    expect(echo).toMatchObject({ status: 0 });
    return [/profile: "(\w+)"/.exec(echo.stdout)?.[1], /'((?:no )?PROFILE.*)' >&2/.exec(echo.stdout)?.[1]];
  };
  mkdirSync(join(cwd, 'profiles/site/manifests/rootfs'), { recursive: true });
  expect(profileOf({})).toEqual([undefined, undefined]);
  expect(make(['build'], { PROFILE: 'site' })).toMatchObject({ status: 0 });
  expect(profileOf({})).toEqual([
    'site',
    'PROFILE=site, as in the last `make build`; PROFILE= builds without it',
  ]);
  expect(profileOf({ PROFILE: '' })).toEqual([
    undefined,
    'no PROFILE, though the last `make build` had site',
  ]);
  expect(make(['build'], { PROFILE: '' })).toMatchObject({ status: 0 });
  expect(profileOf({})).toEqual([undefined, undefined]);
});

test('generate_iso writes the ISO with its checksum and profiles', () => {
  expect(make(['generate_iso'])).toMatchObject({ status: 0 });
  const iso = join(cwd, 'manifests/iso');
  const md5 = execFileSync('md5sum', [join(iso, 'ephemeral.iso')], { encoding: 'utf8' }).slice(0, 32);
  expect(readFileSync(join(iso, 'ephemeral.iso.md5sum'), 'utf8')).toBe(`${md5}\n`);
  expect(JSON.parse(readFileSync(join(iso, 'profile_multistrap.json'), 'utf8'))).toMatchObject({
    packages: ['dbus', 'live-boot'],
  });
});

test('push and tag go to the registry', () => {
  const target = `${registry.host}/site/qcow-bundle`;
  const where = { DOCKER_REGISTRY: registry.host, IMAGE_PREFIX: 'site' };
  expect(make(['push'], where)).toMatchObject({ status: 0 });
  const digest = digestOf(layout);
  expect(digestOf(`docker://${target}:v1-debian_trixie`)).toBe(digest);
  const tags = { SOURCE_IMAGE_TAG: `${target}:v1-debian_trixie`, TARGET_IMAGE_TAG: `${target}:latest` };
  expect(make(['tag'], tags)).toMatchObject({ status: 0 });
  expect(digestOf(`docker://${target}:latest`)).toBe(digest);
  expect(make(['package_qcow'], { ...where, IMAGE_TAG: 'v2', PUSH_IMAGE: 'true' })).toMatchObject({
    status: 0,
  });
  expect(digestOf(`docker://${target}:v2-debian_trixie`)).toBe(digest);
});

describe('skip switches', () => {
  beforeAll(() => {
    write('rootfs/multistrap-vars.yaml', `${KERNEL}packages: [no-such-package]\n`);
    write('rootfs/osconfig-vars.yaml', 'sysctl: [{name: vm.swappiness, value: 2}]\n');
  });

  test('without one, what has changed is made again', () => {
    const { status, stderr } = make(['package_qcow']);
    expect(status).not.toBe(0);
    expect(stderr).toMatch(
      /^error: spec\.build\.rootfs\.multistrap\.packages\[0\]: the package \S+ is not available \[PACKAGE_UNAVAILABLE\]$/m,
    );
  });

  test('SKIP_MULTI_ROLE keeps the packages, and the profile tells those that are there', () => {
    expect(make(['package_qcow'], { SKIP_MULTI_ROLE: 'true' })).toMatchObject({ status: 0 });
    expect(profile()).toContain('"live-boot"');
    expect(profile()).not.toContain('no-such-package');
    expect(profile()).toMatch(/"vm\.swappiness",\s*"value": "2"/);
  });

  test.each(['SKIP_MULTISTRAP', 'SKIP_OSCONFIG_ROLE'])('%s keeps the configuration too', (name) => {
    const before = readdirSync(join(store, 'entries')).filter((entry) => entry.startsWith('osconfig-'));
    write('rootfs/osconfig-vars.yaml', 'sysctl: [{name: vm.swappiness, value: 3}]\n');
    expect(make(['package_qcow'], { [name]: 'true' })).toMatchObject({ status: 0 });
    expect(readdirSync(join(store, 'entries')).filter((entry) => entry.startsWith('osconfig-'))).toEqual(
      before,
    );
    expect(JSON.parse(profile()).sysctl).toEqual([{ name: 'vm.swappiness', value: '2' }]);
  });

  test('an empty store has nothing to build on', () => {
    const elsewhere = { ...env, IMAGE_BUILDER_STORE: join(cwd, 'empty') };
    const spec = join(cwd, 'node.yaml');
    writeFileSync(
      spec,
      'apiVersion: airshipit.org/v1alpha1\nkind: ImageBuilder\nmetadata: {name: node}\nspec: {build: {}}\n',
    );
    const { status, stderr } = run([cli, 'build', spec, '--reuse', 'rootfs'], { cwd, env: elsewhere });
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /node has no earlier result of the stage rootfs in .*\n.*hint: build once without/s,
    );
  });
});

describe('a build that fails', () => {
  const fail = (...options: string[]) => {
    const object = {
      apiVersion: 'airshipit.org/v1alpha1',
      kind: 'ImageBuilder',
      metadata: { name: 'qcow-bundle' },
      spec: {
        build: {
          manifests: 'manifests',
          rootfs: { osconfig: { user_management: [{ name: 'sudo', password_hash: PASSWORD_HASH }] } },
        },
      },
    };
    writeFileSync(join(cwd, 'fail.yaml'), JSON.stringify(object));
    return run([cli, ...options, 'build', 'fail.yaml', '--reuse', 'rootfs'], { cwd, env });
  };
  const logOf = (stderr: string) => /^log: (\S+)$/m.exec(stderr)?.[1] ?? '';

  test('names the task, its reason and its log, and shows no secret', () => {
    const { status, stdout, stderr } = fail('--verbose');
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(/^osconfig: failed \(.*\)$/m);
    expect(stderr).toMatch(
      /^error: osconfig failed at "Create users" \[TASK_FAILED\]\n(.*\n)*.*user sudo: there is a group/m,
    );
    const log = readFileSync(logOf(stderr), 'utf8');
    expect(log).toMatch(/^== Create users$/m);
    expect(log).toContain('user sudo: there is a group');
    expect(stderr + log).not.toContain('neverShown');
  });

  test('without a terminal progress is plain lines; with --log-format json each is an event', () => {
    const plain = fail().stderr;
    expect(plain).not.toContain('\u001b');
    expect(plain).toMatch(/^osconfig: started\nosconfig: /m);
    expect(plain).not.toContain('TASK [');
    const lines = fail('--log-format', 'json').stderr.trim().split('\n');
    const events = lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
    expect(events).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          type: 'stage',
          stage: 'osconfig',
          status: 'started',
          time: expect.any(String),
        }),
        expect.objectContaining({
          type: 'output',
          stage: 'osconfig',
          line: expect.stringContaining('TASK ['),
        }),
        expect.objectContaining({ type: 'stage', stage: 'osconfig', status: 'failed' }),
      ]),
    );
    expect(events.at(-1)).toMatchObject({ type: 'finding', severity: 'error', code: 'TASK_FAILED' });
    expect(JSON.stringify(events)).not.toContain('neverShown');
  });
});

describe('build --dry-run', () => {
  const dryRun = (build: object) => {
    const object = {
      apiVersion: 'airshipit.org/v1alpha1',
      kind: 'ImageBuilder',
      metadata: { name: 'dry' },
      spec: { build },
    };
    writeFileSync(join(cwd, 'dry.yaml'), JSON.stringify(object));
    const entries = readdirSync(join(store, 'entries'));
    const result = run([cli, 'build', 'dry.yaml', '--dry-run', '--output', 'json'], { cwd, env });
    expect(readdirSync(join(store, 'entries'))).toEqual(entries);
    return { ...result, plan: result.status === 0 ? JSON.parse(result.stdout)[0] : undefined };
  };

  test('asks the repositories for versions, and shows disks and commands', () => {
    const { plan } = dryRun({ rootfs: { multistrap: { packages: ['dbus'] } }, qcows: { a: {} } });
    expect(plan.packageSource).toMatchObject({ from: 'repositories', verified: expect.any(Array) });
    expect(plan.packages.dbus).toMatch(/^\d/);
    expect(plan.disks.a.partitions).toHaveLength(4);
    expect(plan.disks.a.kernelCommandLine).toContain('console=ttyS0');
    expect(plan.commands[0].argv[0]).toBe('mmdebstrap');
    expect(plan.stages.map(({ stage }: { stage: string }) => stage)).toContain('qcow/a');
  });

  test('a package that does not exist, or a disk that does not fit, is an error', () => {
    expect(dryRun({ rootfs: { multistrap: { packages: ['no-such-package'] } } })).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('no-such-package'),
    });
    expect(dryRun({ qcows: { a: { qcow: { qcow_capacity: '1G' } } } })).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('spec.build.qcows.a.qcow'),
    });
  });

  test.each(['ubuntu_focal', 'ubuntu_jammy', 'ubuntu_noble'])(
    'an archive that cannot be reached is no error, and is said: %s',
    (distribution) => {
      const { status, plan } = dryRun({ distribution, mirror: 'http://127.0.0.1:1/ubuntu' });
      expect(status).toBe(0);
      expect(plan).toMatchObject({
        distribution: expect.stringMatching(/^ubuntu-2\d\.04$/),
        // On a machine of another distribution the keys are missing, too, and it says which package has them.
        packageSource: {
          from: 'spec',
          unreachable: expect.stringMatching(/install the package ubuntu-keyring|127\.0\.0\.1:1/),
        },
      });
      expect(plan.packages).toBeUndefined();
      expect(plan.requested).toContain('linux-image-generic');
    },
  );

  test('a key that cannot be fetched: the same', () => {
    const repository = { name: 'k8s', source: 'http://127.0.0.1:1/deb', suite: '/', packages: ['kubelet'] };
    const repos_append = [{ ...repository, keyring_url: 'https://127.0.0.1:1/Release.key' }];
    const { plan } = dryRun({ rootfs: { multistrap: { packages: ['dbus'], repos_append } } });
    expect(plan.packageSource.unreachable).toContain('repos_append[0].keyring_url');
    expect(plan.requested).toContain('kubelet');
    const unchecked = run([cli, 'build', 'dry.yaml', '--dry-run', '--exit-code'], { cwd, env });
    expect(unchecked).toMatchObject({ status: 2, stdout: expect.stringContaining('unreachable') });
  });
});

test('clean removes what was written', () => {
  expect(make(['clean'])).toMatchObject({ status: 0 });
  expect(existsSync(join(cwd, 'out/qcow-bundle'))).toBe(false);
  expect(existsSync(join(cwd, 'manifests/iso/ephemeral.iso'))).toBe(false);
  expect(existsSync(join(cwd, 'manifests/qcow-bundle/node.qcow2'))).toBe(false);
  expect(existsSync(join(cwd, 'manifests/iso/user_data'))).toBe(true);
});

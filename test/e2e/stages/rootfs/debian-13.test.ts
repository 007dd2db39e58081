// A real Debian 13 with a kernel, packages from the tests' own repositories, and every variable of osconfig; what was
// asked for is looked up in the files of the tree. Built by whoever runs the tests, and by an ordinary user as well
// when that is root: the results are the same, byte for byte.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BuildSpec } from '../../../../image-builder/spec/api/types.ts';
import { resolveBuild } from '../../../../image-builder/spec/variables/resolve.ts';
import type { ResolvedBuild } from '../../../../image-builder/spec/variables/resolved.ts';
import { configureQcowTree, configureRootfs } from '../../../../image-builder/stages/osconfig/configure.ts';
import { unpackTree } from '../../../../image-builder/stages/rootfs/archive.ts';
import { buildRootfs } from '../../../../image-builder/stages/rootfs/build-rootfs.ts';
import { AptSite, buildPackages, publishSuite } from '../../support/apt-repository.ts';
import { ordinaryUser, runAs, runWithoutMounts } from '../../support/ordinary-user.ts';
import { type Observed, stageContext } from '../../support/stage.ts';

const site = new AptSite('debian-13');
const { directory, www, server, key } = site;
const common: Observed = { steps: [], lines: [] };
const qcow: Observed = { steps: [], lines: [] };
const PASSWORD_HASH = '$6$rounds=5000$saltsalt$0123456789abcdef';
const scripts = [{ name: '10-site', content: '#!/bin/sh\ntouch /root/site-script-ran\n' }];
const LITERAL = '{{ not a template }} {% raw';

/** Leaves a chroot, as root may, and writes beside the test's files. */
const ESCAPED = join(directory, 'escaped');
const ESCAPE = `mkdir "/below"; opendir(my $out, "/"); chroot "/below"; chdir $out; chdir ".." for 1 .. 64; chroot ".";
open(my $file, ">", "${ESCAPED}") and print $file "escaped";`;
const CONFINED = `#!/bin/sh
exec > /root/confined 2> /dev/null
sysctl -w vm.swappiness="$(cat /proc/sys/vm/swappiness)" && echo sysctl
hostname "$(cat /proc/sys/kernel/hostname)" && echo hostname
mount -t tmpfs x /mnt && echo mount
chroot / true && echo chroot
install -m 0600 /dev/stdin /root/from-stdin <<X
from stdin
X
echo progress > /dev/stderr
cat /etc/resolv.conf > /dev/null && echo resolv.conf
`;

let resolved: ResolvedBuild;
/** The tree of the QCOW, and the context that can look into it. */
let tree: string;
let context: Awaited<ReturnType<typeof stageContext>>;

const spec = (url: string): BuildSpec => ({
  rootfs: {
    multistrap: {
      k8s_version: '1.34.2-1.1',
      kernel_base_pkg: 'linux-image-cloud-amd64',
      systemd_nic_names_policy: 'kernel path',
      packages: ['openssh-server'],
      repos_append: [
        {
          name: 'Kubernetes',
          source: `${url}/flat`,
          suite: '/',
          ...site.keyringFrom(url),
          packages: ['kubelet={{ k8s_version }}'],
        },
        {
          name: 'vendor',
          source: `${url}/suites/`,
          suite: 'stable',
          components: 'main',
          keyring: key.armoured,
          packages: ['vendor-agent'],
          register_repo_with_rootfs: false,
        },
      ],
    },
    osconfig: {
      kernel: { modules: { load: [{ name: 'dummy' }], blacklist: [{ name: 'pcspkr' }] } },
      banners: { login: 'Keep out\n', motd: 'Welcome\n' },
      kubelet: { extra_systemd_args: [{ name: '--node-ip', value: '192.0.2.1' }, { name: '--v=2' }] },
      grub: { GRUB_TIMEOUT: 3 },
      grub_cmdline_linux_default_append: [{ name: 'quiet' }],
      limits_append: [{ domain: '@ops', type: '-', item: 'nproc', value: 100 }],
      sysctl_append: [{ name: 'vm.swappiness', value: 0 }],
      user_management: [
        {
          name: 'ops',
          uid: 2000,
          groups: ['sudo', 'operators'],
          shell: '/bin/bash',
          comment: 'Operator',
          password_hash: PASSWORD_HASH,
          ssh_authorized_keys: ['ssh-ed25519 AAAA ops@example.org'],
        },
        { name: 'games', state: 'absent' },
      ],
      directories: [{ name: '/srv/data', permissions: '0770', owner: 'ops', group: 'operators' }],
      files: [
        {
          name: '/etc/example/literal',
          file_content: `${LITERAL.replace('{{', "{{ '{{' }}").replace('{%', "{{ '{%' }}")}\n`,
        },
        { name: '/etc/example/secret', file_content: 's', permissions: '0600', owner: 'ops' },
        { name: '/etc/example/in-qcow', file_content: 'q', run_contexts: ['qcow'] },
      ],
      systemd: [
        {
          name: 'example',
          file_content: '[Service]\nExecStart=true\n[Install]\nWantedBy=multi-user.target\n',
          enabled: true,
        },
        { name: 'ssh', override: '[Service]\nNice=-5\n' },
        { name: 'cron.service', masked: true },
        { name: 'apt-daily.timer', enabled: 'no' },
        { name: 'apt-daily-upgrade.timer', enabled: true },
      ],
      user_scripts: [
        { name: 'first', file_content: '#!/bin/sh\nid -u > /root/script-ran; echo said-by-script\n' },
        { name: 'second', file_content: 'cat /root/script-ran > /root/second-ran\n' },
        { name: 'third', file_content: CONFINED },
      ],
      file_permissions: [{ name: '/etc/ssh/sshd_config', permissions: '0600' }],
      fetch_from_url: [
        {
          url: `${url}/tool`,
          dest: '/opt/tools/bin/tool',
          permissions: '0755',
          checksum: `sha256:${createHash('sha256').update('tool\n').digest('hex')}`,
        },
      ],
    },
  },
  qcows: {
    worker: {
      osconfig: { sysctl_append: [{ name: 'vm.dirty_ratio', value: 7 }], banners: { motd: 'Worker\n' } },
      qcow: {
        qcow_container_runtime_scripts: [{ file_content: '#!/bin/sh\ncp /etc/motd /root/runtime-ran\n' }],
      },
    },
  },
});

const digestOf = (file: string) => execFileSync('sha256sum', [file], { encoding: 'utf8' }).slice(0, 64);
const inTree = (...argv: string[]) => context.sandbox.run(argv, { cwd: tree });
const textOf = (path: string) => inTree('cat', `.${path}`);
const exists = (path: string) =>
  inTree('test', '-e', `.${path}`).then(
    () => true,
    () => false,
  );
const modeOf = async (path: string) => (await inTree('stat', '--format=%a %u %g', `.${path}`)).trim();

beforeAll(async () => {
  const kubelet = (version: string) => ({
    name: 'kubelet',
    version,
    files: { '/usr/bin/kubelet': `${version}\n` },
  });
  site.publish('flat', [kubelet('1.34.2-1.1'), kubelet('1.34.3-1.1')]);
  buildPackages(join(www, 'suites/pool'), [
    {
      name: 'vendor-agent',
      version: '2',
      control: ['Depends: libcap2-bin', 'Recommends: vendor-recommended'],
      files: { '/usr/share/vendor-agent/probe': '' },
      postinst: `#!/bin/sh\nsetcap cap_net_raw+ep /usr/share/vendor-agent/probe\nperl -e '${ESCAPE}' || :\nrm -rf /below\n`,
    },
    { name: 'vendor-recommended', version: '2' },
  ]);
  publishSuite(join(www, 'suites'), 'stable', key);
  writeFileSync(join(www, 'key.asc'), key.armoured);
  writeFileSync(join(www, 'tool'), 'tool\n');
  resolved = await resolveBuild('node', spec(await server.start()), { cwd: directory });

  const { distribution, mirror, origins, rootfs } = resolved;
  const cacheDir = join(directory, 'cache');
  const first = await stageContext(directory, 'rootfs');
  await buildRootfs({ distribution, mirror, origins, multistrap: rootfs.multistrap, cacheDir }, first);
  const second = await stageContext(directory, 'osconfig', { observed: common });
  const parent = join(first.outputDir, 'rootfs.tar');
  await configureRootfs({ parent, osconfig: rootfs.osconfig, scripts, cacheDir }, second);

  context = await stageContext(directory, 'qcow', { observed: qcow });
  tree = join(context.workDir, 'tree');
  await unpackTree(join(second.outputDir, 'rootfs.tar'), tree, context);
  const image = resolved.qcows.worker;
  if (image === undefined) throw new Error('no worker');
  await configureQcowTree(
    {
      tree,
      osconfig: image.osconfig,
      common: rootfs.osconfig,
      scripts: image.scripts,
      runtimeScripts: image.qcow.qcow_container_runtime_scripts,
      cacheDir,
    },
    context,
  );
});

afterAll(async () => {
  await site.stop();
  await context.sandbox.run(['rm', '-rf', '--', directory]);
});

describe('packages', () => {
  test('come in the version that was asked for, without what is only recommended; all are listed', async () => {
    const packages = JSON.parse(readFileSync(join(directory, 'rootfs/output/packages.json'), 'utf8'));
    expect(packages.kubelet).toEqual({ version: '1.34.2-1.1', architecture: 'all' });
    expect(packages['vendor-agent']).toBeDefined();
    expect(packages['vendor-recommended']).toBeUndefined();
    expect(packages['unattended-upgrades']).toBeUndefined();
    expect(Object.keys(packages)).toEqual(
      expect.arrayContaining(['cloud-guest-utils', 'cloud-init', 'zstd']),
    );
    expect(await textOf('/usr/bin/kubelet')).toBe('1.34.2-1.1\n');
  });

  test("the image's apt knows the repositories that it should, with their keys, and its pins", async () => {
    const sources = (await inTree('ls', 'etc/apt/sources.list.d')).trim().split('\n');
    expect(sources).toEqual(expect.arrayContaining(['Kubernetes.sources', 'trixie.sources']));
    expect(sources).not.toContain('vendor.sources');
    const flat = await textOf('/etc/apt/sources.list.d/Kubernetes.sources');
    expect(flat).toMatch(/^Suites: \/$/m);
    expect(flat).toMatch(/^Signed-By: \/etc\/apt\/keyrings\/Kubernetes\.asc$/m);
    expect(await textOf('/etc/apt/keyrings/Kubernetes.asc')).toBe(key.armoured);
    expect(await textOf('/etc/apt/sources.list.d/trixie.sources')).toContain(
      'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg',
    );
    expect(await exists('/etc/apt/sources.list')).toBe(false);
    expect(await textOf('/etc/apt/preferences.d/image-builder-unapproved')).toMatch(
      /Package: unattended-upgrades systemd-timesyncd\n.*\nPin-Priority: -1/,
    );
  });

  test('file capabilities survive', async () => {
    expect(await inTree('getcap', 'usr/share/vendor-agent/probe')).toContain('cap_net_raw');
  });

  test('Python is compiled and certificates are listed once for all; nothing is left of how', async () => {
    const compiled = (await inTree('find', 'usr/lib/python3', 'usr/share/python3', '-name', '*.pyc')).trim();
    expect(compiled).toMatch(/dist-packages\/yaml\/__pycache__\/loader\./);
    expect(compiled).toMatch(/dist-packages\/cloudinit\/__pycache__\/stages\./);
    // By the content of the source (PEP 552), whoever has asked for it: times are not what the packages say.
    const flags = await inTree(
      'sh',
      '-euc',
      `for file in ${compiled.replaceAll('\n', ' ')}; do
      od -An -t u1 -j 4 -N 1 "$file"; done | sort -u`,
    );
    expect(flags.trim()).toBe('3');
    expect(await textOf('/etc/ssl/certs/ca-certificates.crt')).toMatch(/-----BEGIN CERTIFICATE-----/);
    expect(await exists('/run/image-builder')).toBe(false);
    expect(await exists('/etc/apt/apt.conf.d/99mmdebstrap')).toBe(false);
  });

  test('network interfaces are named by the policies', async () => {
    expect(await textOf('/etc/systemd/network/99-default.link')).toMatch(
      /^NamePolicy=kernel path\nAlternativeNamesPolicy=database onboard path slot$/m,
    );
  });
});

describe('osconfig', () => {
  test('kernel modules, sysctl, limits', async () => {
    expect(await textOf('/etc/modules-load.d/image-builder.conf')).toBe('dummy\n');
    expect(await textOf('/etc/modprobe.d/image-builder-blacklist.conf')).toBe('blacklist pcspkr\n');
    const sysctl = await textOf('/etc/sysctl.d/95-image-builder.conf');
    expect(sysctl).toMatch(/^net\.bridge\.bridge-nf-call-iptables = 1$/m);
    expect(sysctl).toMatch(/vm\.swappiness = 0\nvm\.dirty_ratio = 7\n$/);
    const limits = await textOf('/etc/security/limits.d/image-builder.conf');
    expect(limits).toMatch(/^0: hard core 0$/m);
    expect(limits).toMatch(/^@ops - nproc 100$/m);
  });

  test('banners: those of the QCOW over the common ones', async () => {
    expect(await textOf('/etc/issue')).toBe('Keep out\n');
    expect(await textOf('/etc/motd')).toBe('Worker\n');
  });

  test('GRUB and the kubelet', async () => {
    const grub = await textOf('/etc/default/grub.d/50-image-builder.cfg');
    expect(grub).toMatch(/^GRUB_TIMEOUT=3$/m);
    expect(grub).toMatch(
      /^GRUB_CMDLINE_LINUX_DEFAULT="console=ttyS0,115200n8 .* rcu_nocb_poll=true quiet"$/m,
    );
    expect(await exists('/etc/default/grub.d/kdump-tools.cfg')).toBe(false);
    expect(await textOf('/etc/systemd/system/kubelet.service.d/20-image-builder.conf')).toContain(
      'Environment="KUBELET_EXTRA_ARGS=--node-ip=192.0.2.1 --v=2"',
    );
  });

  test('users have their groups, keys and hash; nobody has an empty or a known password', async () => {
    expect(await textOf('/etc/passwd')).toMatch(/^ops:x:2000:\d+:Operator:\/home\/ops:\/bin\/bash$/m);
    expect(await textOf('/etc/passwd')).not.toMatch(/^games:/m);
    expect(await textOf('/etc/group')).toMatch(/^operators:x:\d+:ops$/m);
    const shadow = (await textOf('/etc/shadow'))
      .trim()
      .split('\n')
      .map((line) => line.split(':'));
    expect(shadow.find(([name]) => name === 'ops')?.[1]).toBe(PASSWORD_HASH);
    for (const [name, hash] of shadow) if (name !== 'ops') expect(`${name} ${hash}`).toMatch(/ [!*]/);
    expect(await textOf('/home/ops/.ssh/authorized_keys')).toBe('ssh-ed25519 AAAA ops@example.org\n');
    expect(await modeOf('/home/ops/.ssh/authorized_keys')).toMatch(/^600 2000 /);
  });

  test('directories, files and their owners; text that looks like a template stays as it is', async () => {
    expect(await modeOf('/srv/data')).toMatch(/^770 2000 /);
    expect(await modeOf('/etc/example/secret')).toBe('600 2000 0');
    expect(await textOf('/etc/example/literal')).toBe(`${LITERAL}\n`);
    expect(await textOf('/etc/example/in-qcow')).toBe('q');
    expect(await modeOf('/etc/ssh/sshd_config')).toBe('600 0 0');
  });

  test('systemd units: whole, drop-in, enabled, disabled, masked', async () => {
    const units = '/etc/systemd/system';
    expect(await textOf(`${units}/example.service`)).toContain('ExecStart=true');
    await inTree('test', '-L', `.${units}/multi-user.target.wants/example.service`);
    expect(await textOf(`${units}/ssh.service.d/override.conf`)).toContain('Nice=-5');
    expect((await inTree('readlink', `.${units}/cron.service`)).trim()).toBe('/dev/null');
    expect(await exists(`${units}/timers.target.wants/apt-daily.timer`)).toBe(false);
    // By default both are masked.
    await inTree('test', '!', '-L', `.${units}/apt-daily.timer`);
    await inTree('test', '!', '-L', `.${units}/apt-daily-upgrade.timer`);
    await inTree('test', '-L', `.${units}/timers.target.wants/apt-daily-upgrade.timer`);
  });

  test('scripts ran as root, in their order and context, and left nothing', async () => {
    expect(await textOf('/root/script-ran')).toBe('0\n');
    expect(await textOf('/root/second-ran')).toBe('0\n');
    expect(await exists('/root/site-script-ran')).toBe(true);
    expect(await textOf('/root/runtime-ran')).toBe('Worker\n');
    expect(qcow.lines.join('\n')).not.toContain('001-first');
  });

  test('scripts, of packages too, are nobody on this machine', async () => {
    expect(await textOf('/root/confined')).toBe('resolv.conf\n');
    expect(await textOf('/root/from-stdin')).toBe('from stdin\n');
    expect(existsSync(ESCAPED)).toBe(false);
  });

  test('files were fetched and checked', async () => {
    expect(await textOf('/opt/tools/bin/tool')).toBe('tool\n');
    expect(await modeOf('/opt/tools/bin/tool')).toBe('755 0 0');
  });

  test('cloud-init looks where a node on bare metal has its data, and does not wait long for a network', async () => {
    expect(await textOf('/etc/cloud/cloud.cfg.d/95-image-builder.cfg')).toContain(
      'datasource_list: [ConfigDrive, NoCloud, None]',
    );
    expect(
      await textOf('/etc/systemd/system/systemd-networkd-wait-online.service.d/image-builder.conf'),
    ).toMatch(/--any --timeout=\d\d$/m);
  });

  test('no secret in the log', () => {
    expect([...common.lines, ...qcow.lines].join('\n')).not.toContain(PASSWORD_HASH);
  });
});

describe('initramfs', () => {
  test('is there, compressed with zstd, and holds the configuration of the modules', async () => {
    const [name] = (await inTree('ls', 'boot'))
      .split('\n')
      .filter((entry) => entry.startsWith('initrd.img-'));
    const magic = await inTree(
      'sh',
      '-c',
      `unmkinitramfs -l boot/${name} 2>/dev/null | head -1; file -b boot/${name} || :`,
    );
    expect(magic).toMatch(/cpio|Zstandard/i);
  });

  test('is made once: the QCOW has changed nothing that goes into it', () => {
    const made = (lines: string[]) => lines.filter((line) => line.startsWith('update-initramfs: Generating'));
    expect(made(common.lines)).toHaveLength(1);
    expect(made(qcow.lines)).toHaveLength(0);
    expect(readdirSync(join(directory, 'cache/initramfs'))).toHaveLength(1);
  });
});

describe('the building machine', () => {
  test('has left no trace', async () => {
    expect(await textOf('/etc/machine-id')).toBe('');
    expect(await textOf('/etc/hostname')).toBe('localhost\n');
    expect((await inTree('readlink', './etc/resolv.conf')).trim()).toBe(
      '../run/systemd/resolve/stub-resolv.conf',
    );
    expect(await inTree('sh', '-c', 'ls etc/ssh/ssh_host_* 2>/dev/null || :')).toBe('');
    for (const path of ['dev', 'run', 'tmp', 'var/tmp', 'var/cache/apt/archives/partial']) {
      expect([path, await inTree('ls', '-A', path)]).toEqual([path, '']);
    }
    expect(await inTree('find', 'var/log', '-type', 'f', '-size', '+0')).toBe('');
    expect(await exists('/usr/sbin/policy-rc.d')).toBe(false);
    expect(await exists('/etc/apt/apt.conf.d/99mmdebstrap')).toBe(false);
  });
});

const isRoot = process.getuid?.() === 0;
const user = isRoot ? ordinaryUser() : undefined;
(user ? test : test.skip)('an ordinary user builds the same bytes, elsewhere and later', async () => {
  if (user === undefined) return;
  const home = mkdtempSync(join(tmpdir(), 'debian-13-user-'));
  try {
    const request = join(home, 'request.json');
    writeFileSync(request, JSON.stringify({ directory: home, build: resolved, scripts }));
    execFileSync('chown', ['-R', `${user.uid}:${user.gid}`, home]);
    await runAs(user, join(__dirname, '../../support/run-stages.ts'), [request], home);
    for (const file of [
      'rootfs/output/packages.json',
      'rootfs/output/rootfs.tar',
      'osconfig/output/rootfs.tar',
    ]) {
      expect([file, digestOf(join(home, file))]).toEqual([file, digestOf(join(directory, file))]);
    }
  } finally {
    rmSync(home, { recursive: true });
  }
});

(isRoot ? test : test.skip)('root that may not mount, as in a container, leaves the same tree', async () => {
  const home = mkdtempSync(join(tmpdir(), 'debian-13-plain-'));
  try {
    const request = join(home, 'request.json');
    writeFileSync(request, JSON.stringify({ directory: home, build: resolved }));
    await runWithoutMounts(join(__dirname, '../../support/run-stages.ts'), [request], home);
    const file = 'rootfs/output/rootfs.tar';
    expect(digestOf(join(home, file))).toBe(digestOf(join(directory, file)));
  } finally {
    rmSync(home, { recursive: true });
  }
});

// The product's own manifests with a Kubernetes profile and the complete default package list, from the object to the
// bundle by the shipped executable; then each QCOW of the bundle is deployed on a larger disk and asked what it has
// become. `npm run test:images` does that for Debian 12, too, boots
// the ISO, and builds everything again as an ordinary user.
import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parse, parseAllDocuments } from 'yaml';
import { buildStages } from '../../../image-builder/build/build.ts';
import { resolveBuild } from '../../../image-builder/spec/variables/resolve.ts';
import { bootTest } from '../../../image-builder/stages/boot-test/boot-image.ts';
import { PERSON } from '../../support/policies.ts';
import { executable, run } from '../support/executables.ts';
import { type NodeRepositories, serveNodeRepositories } from '../support/node-repositories.ts';
import { ordinaryUser } from '../support/ordinary-user.ts';
import { REPORTED, readReport, reportScript, writeSeed } from '../support/seed.ts';

const CODENAMES: Record<string, string> = { 'debian-12': 'bookworm', 'debian-13': 'trixie' };
const QCOWS = { 'control-plane': 'bios', 'data-plane': 'uefi' } as const;
const DISK_GIB = 24;
const KEY = 'ssh-ed25519 AAAA ops@example.org';

const role = (name: string) =>
  parse(
    readFileSync(
      join(__dirname, '../../../image-builder/stages/osconfig/ansible/roles', name, 'defaults/main.yaml'),
      'utf8',
    ),
  );
const { sysctl, kernel } = role('osconfig') as {
  sysctl: { name: string; value: number }[];
  kernel: { modules: { load: { name: string }[] } };
};
const moduleNames = kernel.modules.load.map(({ name }) => name);
const SCRIPT = readFileSync(join(__dirname, '../support/node-report.sh'), 'utf8')
  .replace('@SYSCTLS@', sysctl.map(({ name }) => name).join(' '))
  .replace('@MODULES@', moduleNames.join(' '));

// Of the card that QEMU gives a machine.
const NETWORK_DATA = `links:
- {id: oam, type: phy, ethernet_mac_address: '52:54:00:12:34:56'}
networks:
- {id: oam4, type: ipv4, link: oam, ip_address: 192.0.2.7, netmask: 255.255.255.0}
services: []
`;

/** The newest profile is built and booted; of the other supported ones the packages are chosen. */
const NEWEST = 'k8s-1.37';
const SUPPORTED = ['k8s-1.36', 'k8s-1.35'];

const spec = (distribution: string) => ({
  apiVersion: 'airshipit.org/v1alpha1',
  kind: 'ImageBuilder',
  metadata: { name: 'qcow-bundle' },
  spec: {
    build: {
      distribution,
      manifests: 'site/manifests',
      profile: NEWEST,
      rootfs: {
        multistrap: { packages_append: ['docker-ce', 'docker-ce-cli'] },
        osconfig: {
          kubelet: { extra_systemd_args: [{ name: '--node-ip', value: '192.0.2.1' }, { name: '--v=2' }] },
          user_management: [
            { name: 'ops', uid: 2000, groups: ['sudo'], shell: '/bin/bash', ssh_authorized_keys: [KEY] },
          ],
          systemd_append: [
            {
              name: 'reported',
              file_content:
                '[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=true\n[Install]\nWantedBy=multi-user.target\n',
              enabled: true,
            },
            { name: 'networkd-dispatcher', enabled: false },
          ],
        },
      },
      qcows: { 'data-plane': { osconfig: { sysctl_append: [{ name: 'vm.swappiness', value: 7 }] } } },
      bundle: { layout: 'out' },
    },
  },
});

// IMAGES: `all`, or the name of one distribution.
const { IMAGES = 'debian-13' } = process.env;
const everything = IMAGES === 'all';
const distributions = everything ? Object.keys(CODENAMES) : [IMAGES];

describe.each(distributions)('%s with the default manifests', (distribution) => {
  const directory = mkdtempSync(join(tmpdir(), `node-${distribution}-`));
  const env = { ...process.env, IMAGE_BUILDER_STORE: join(directory, 'store') };
  const cli = executable('image-builder');
  let repositories: NodeRepositories;
  let catalogues: Record<string, unknown>[];
  /** What each machine says of itself, by topic. */
  const reports: Record<string, Record<string, string>> = {};

  beforeAll(async () => {
    repositories = await serveNodeRepositories(directory, CODENAMES[distribution] as string, [
      NEWEST,
      ...SUPPORTED,
    ]);
    writeFileSync(join(directory, 'image.yaml'), JSON.stringify(spec(distribution)));
    // Not the synchronous form: the repositories are served by this process.
    const { stdout } = await promisify(execFile)(cli, ['build', 'image.yaml'], {
      cwd: directory,
      env,
      maxBuffer: 1 << 26,
    });
    catalogues = parseAllDocuments(stdout).map((document) => document.toJS());
    expect(run([cli, 'copy', 'oci:out', 'images'], { cwd: directory, env }).stderr).not.toContain('error');
  });
  afterAll(async () => {
    await repositories?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  /** Deploys an image on a larger disk and starts it. */
  async function deploy(name: keyof typeof QCOWS): Promise<Record<string, string>> {
    const scratch = join(directory, `machine-${name}`);
    mkdirSync(scratch);
    const disk = join(scratch, 'disk.qcow2');
    const image = join(directory, 'images', `${name}.qcow2`);
    execFileSync('qemu-img', [
      'create',
      '-q',
      '-f',
      'qcow2',
      '-F',
      'qcow2',
      '-b',
      image,
      disk,
      `${DISK_GIB}G`,
    ]);
    const { console } = await bootTest(disk, {
      format: 'qcow2',
      firmware: QCOWS[name],
      timeoutSeconds: 840,
      // The crash kernel's memory is set aside.
      memoryMib: 3072,
      seed: await writeSeed(scratch, SCRIPT, 'started'),
      expect: REPORTED,
    });
    expect(console).toMatch(/^seeded login:/m);
    const entries = readReport(console).flatMap((line) => {
      const [, topic, value] = /^([^:]+): ?(.*)$/.exec(line) ?? [];
      return topic === undefined ? [] : [[topic, value]];
    });
    return Object.fromEntries(entries);
  }

  test('the bundle has both images and says what is in them', () => {
    expect(
      readdirSync(join(directory, 'images'))
        .filter((name) => name.endsWith('.qcow2'))
        .sort(),
    ).toEqual(['control-plane.qcow2', 'data-plane.qcow2']);
    const profile = catalogues.find(
      ({ metadata }) => (metadata as { name: string }).name === 'profile_multistrap',
    );
    const version = repositories.k8sVersions[NEWEST];
    expect(profile).toMatchObject({
      k8s_version: version,
      kubernetes: { version: `v${version?.replace(/-.*/, '')}` },
    });
  });

  test.each(SUPPORTED)('the packages of the profile %s can be had', async (name) => {
    const object = spec(distribution);
    const build = { distribution, manifests: object.spec.build.manifests, profile: name };
    writeFileSync(join(directory, `${name}.yaml`), JSON.stringify({ ...object, spec: { build } }));
    const args = ['build', `${name}.yaml`, '--dry-run', '--exit-code', '--output', 'json'];
    const { stdout } = await promisify(execFile)(cli, args, { cwd: directory, env, maxBuffer: 1 << 26 });
    const [{ packages }] = JSON.parse(stdout);
    const version = repositories.k8sVersions[name];
    expect(packages).toMatchObject({ kubelet: version, kubeadm: version, kubectl: version });
    // From 1.36 on the kubelet needs containerd 2.
    const containerd = name === 'k8s-1.35' ? 'containerd' : 'containerd.io';
    expect(Object.keys(packages).filter((one) => one.startsWith('containerd'))).toEqual([containerd]);
  });

  describe.each(Object.keys(QCOWS) as (keyof typeof QCOWS)[])('%s', (name) => {
    let report: Record<string, string>;
    beforeAll(async () => {
      report = await deploy(name);
      reports[name] = report;
    });

    test('starts everything, and nothing fails', () => {
      expect(report).toMatchObject({ state: 'running', failed: '', firmware: QCOWS[name] });
      expect(report.dpkg).toBe('consistent');
    });

    test('has the settings of the kernel', () => {
      const expected = sysctl.map(({ name, value }) => [`sysctl ${name}`, String(value)]);
      expect(report).toMatchObject(Object.fromEntries(expected));
      expect(report['sysctl vm.swappiness']).toBe(name === 'data-plane' ? '7' : '60');
      for (const module of moduleNames) expect(report[`module ${module}`]).toBe('loaded');
      expect(report.blacklist).toBe('blacklist krbd');
      expect(report.apparmor).toBe('Y');
    });

    test('has the kernel command line, with memory for the crash kernel', () => {
      expect(report.cmdline).toContain(
        'console=ttyS0,115200n8 console=tty0 amd_iommu=on intel_iommu=on iommu=pt cgroup_disable=hugetlb ' +
          'dpdk-socket-mem=4096,4096 rcu_nocb_poll=true crashkernel=768M',
      );
      expect(Number(report['crash-memory'])).toBe(768 * 1024 * 1024);
    });

    test('has the limits', () => {
      expect(report['limits-root']).toBe('65536 1048576 0');
      expect(report['limits-ops']).toBe('65536 1048576');
    });

    test('has the units enabled and running', () => {
      const active = [
        'containerd',
        'docker',
        'reported',
        'ssh',
        'chrony',
        'rsyslog',
        'kubelet',
        'kdump-tools',
      ];
      for (const unit of [...active, 'systemd-resolved'])
        expect([unit, report[`unit ${unit}`]]).toEqual([unit, expect.stringMatching(/^enabled active$/)]);
      // netplan starts it, whatever it says in the image.
      expect(report['unit systemd-networkd']).toMatch(/ active$/);
      expect(report['unit networkd-dispatcher']).toBe('disabled inactive');
    });

    test('has Kubernetes in the version of the spec; the kubelet gets its arguments', () => {
      expect(report['kubelet-version']).toBe(repositories.k8sVersions[NEWEST]);
      expect(report.kubelet).toBe('--config=/var/lib/kubelet/config.yaml --node-ip=192.0.2.1 --v=2');
      expect(report.sources).toContain('kubernetes.sources');
    });

    test('has the account, and nobody has a password', () => {
      expect(report.ops).toMatch(/^2000:\d+::\/home\/ops:\/bin\/bash ops sudo$/);
      expect(report['ops-keys']).toBe('ops 600');
      expect(report).toMatchObject({ passwords: '', root: 'L' });
    });

    test('has its file systems mounted by UUID, and the root file system has grown', () => {
      expect(report.fstab).toMatch(
        /^(0 parse errors, 0 errors, 0 warnings|Success, no errors or warnings detected)/,
      );
      const uuids = Object.fromEntries((report['fstab-uuids'] ?? '').split(' ').map((one) => one.split('=')));
      for (const [mount, type] of [
        ['/', 'ext4'],
        ['/boot', 'ext4'],
        ['/boot/efi', 'vfat'],
      ] as const)
        expect(report[`mount ${mount}`]?.split(/\s+/)).toEqual([type, uuids[mount]]);
      expect(Number(report['disk-bytes'])).toBe(DISK_GIB * 1024 ** 3);
      expect(Number(report['root-bytes'])).toBeGreaterThan((DISK_GIB - 3) * 1024 ** 3);
    });

    test('has its name, its locale, and interfaces named by the policy', () => {
      expect(report).toMatchObject({ hostname: 'seeded', locale: 'C.UTF-8' });
      expect(report.hosts).toMatch(/^(::1|127\.0\.0\.1)\s+localhost.* 127\.0\.1\.1$/);
      expect(report['link-file']).toBe('/etc/systemd/network/99-default.link');
      expect(report.interfaces).toMatch(/^en\w+$/);
    });

    test('does not update itself, and greets as it was told', () => {
      expect(report).toMatchObject({ periodic: '0', unattended: 'absent', issue: 'Authorized users only.' });
    });
  });

  (everything ? test : test.skip)(
    'the ISO of the same root file system boots from a stick and applies its data',
    async () => {
      const { build } = spec(distribution).spec;
      const report = `hostname; findmnt -no FSTYPE /; lsblk -dno TRAN /dev/sda; systemctl list-units --failed --plain --no-legend
ip -4 -o address show scope global | sed -n 's/.* inet \\([^ ]*\\) .*/\\1/p'`;
      const iso = {
        userData: { hostname: 'ephemeral', runcmd: [reportScript(report)] },
        networkData: NETWORK_DATA,
      };
      const resolved = await resolveBuild('qcow-bundle', { ...build, iso }, { cwd: directory });
      const entries = await buildStages(resolved, ['iso'], {
        cwd: directory,
        policy: PERSON,
        store: join(directory, 'store'),
        report: () => {},
        signal: new AbortController().signal,
      });
      const { console } = await bootTest(join(entries.iso?.directory ?? '', 'ephemeral.iso'), {
        format: 'iso',
        firmware: 'bios',
        medium: 'usb',
        timeoutSeconds: 840,
        memoryMib: 3072,
        expect: REPORTED,
      });
      expect(readReport(console)).toEqual(['ephemeral', 'overlay', 'usb', '192.0.2.7/24']);
    },
  );

  const user = everything ? ordinaryUser() : undefined;
  (user ? test : test.skip)('an ordinary user builds the same bundle, elsewhere and later', async () => {
    if (user === undefined) return;
    const home = join(directory, 'home');
    execFileSync('install', ['-d', '-o', user.name, home]);
    execFileSync('chmod', ['755', directory]);
    execFileSync('cp', ['-r', join(directory, 'site'), join(directory, 'image.yaml'), cli, home]);
    const argv = [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--init-groups', process.execPath];
    await promisify(execFile)('setpriv', [...argv, join(home, 'image-builder'), 'build', 'image.yaml'], {
      cwd: home,
      env: { PATH: process.env.PATH, HOME: home },
      maxBuffer: 1 << 26,
    });
    const digestOf = (layout: string) =>
      JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')).manifests[0].digest;
    expect(digestOf(join(home, 'out'))).toBe(digestOf(join(directory, 'out')));
  });

  test('each machine has an identity of its own', () => {
    const [one, other] = Object.values(reports);
    for (const topic of ['machine-id', 'host-keys']) {
      expect(one?.[topic]).toMatch(/^[0-9a-f]{16,32}$/);
      expect(other?.[topic]).not.toBe(one?.[topic]);
    }
  });
});

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parse } from 'yaml';
import { InvalidInputError } from '../../../../image-builder/base/diagnostics/error.ts';
import { ExactNumber } from '../../../../image-builder/base/yaml/values.ts';
import type { BuildSpec } from '../../../../image-builder/spec/api/types.ts';
import { endOfLifeWarning } from '../../../../image-builder/spec/variables/end-of-life.ts';
import { resolveBuild } from '../../../../image-builder/spec/variables/resolve.ts';
import type { ResolvedOsconfig } from '../../../../image-builder/spec/variables/resolved-osconfig.ts';

const cwd = mkdtempSync(join(tmpdir(), 'resolve-'));
const aptDirectory = join(cwd, 'apt');
afterAll(() => rmSync(cwd, { recursive: true }));

const write = (path: string, text: string | Buffer) => {
  mkdirSync(dirname(join(cwd, path)), { recursive: true });
  writeFileSync(join(cwd, path), text);
};
write(
  'apt/sources.list',
  'deb http://mirror.test/debian bookworm main\ndeb http://mirror.test/debian-security bookworm-security main\n',
);

const resolve = (build: BuildSpec, name = 'node') => resolveBuild(name, build, { cwd, aptDirectory });
const findingsOf = async (build: BuildSpec, name?: string) => {
  const error = await resolve(build, name).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(InvalidInputError);
  return (error as InvalidInputError).findings();
};

const kernelCommandLine = ({ grub }: ResolvedOsconfig) =>
  grub.GRUB_CMDLINE_LINUX_DEFAULT.map(({ name, value }) =>
    value === undefined ? name : `${name}=${value}`,
  ).join(' ');

describe('defaults', () => {
  test('an empty spec is a Debian 13 from the mirror of this machine, with one QCOW named like the object', async () => {
    const resolved = await resolve({});
    expect(resolved.distribution).toMatchObject({ name: 'debian-13', codename: 'trixie', family: 'debian' });
    expect(resolved.mirror).toBe('http://mirror.test/debian');
    expect(resolved.rootfs.multistrap.repos.map(({ source, suite }) => `${source} ${suite}`)).toEqual([
      'http://mirror.test/debian trixie',
      'http://mirror.test/debian trixie-updates',
      'http://mirror.test/debian-security trixie-security',
    ]);
    expect(resolved.rootfs.multistrap).toMatchObject({
      kernel_base_pkg: 'linux-image-amd64',
      kernel_headers_pkg: 'linux-headers-amd64',
      multistrap_retries: 3,
      unapproved_packages: ['unattended-upgrades', 'systemd-timesyncd'],
    });
    expect(Object.keys(resolved.qcows)).toEqual(['node']);
    expect(resolved.qcows.node?.qcow).toMatchObject({
      img_name: 'node',
      qcow_capacity: '19G',
      qcow_compress: true,
    });
    expect(resolved.qcows.node?.qcow.partitions[0]).toMatchObject({ mount: '/', part_end: '100%' });
    expect(resolved.bundle).toEqual({ tag: 'latest', disks: false, base: 'function' });
    expect(resolved.bootTest).toEqual({ timeout: 0, firmware: ['bios', 'uefi'] });
  });

  test('the kernel command line is that of the predecessor', async () => {
    const { rootfs } = await resolve({});
    expect(kernelCommandLine(rootfs.osconfig)).toBe(
      'console=ttyS0,115200n8 console=tty0 amd_iommu=on intel_iommu=on iommu=pt cgroup_disable=hugetlb ' +
        'dpdk-socket-mem=4096,4096 rcu_nocb_poll=true',
    );
  });

  test('a machine whose apt knows no Debian uses the public mirrors; one without security updates has none', async () => {
    const elsewhere = await resolveBuild('node', {}, { cwd, aptDirectory: join(cwd, 'nowhere') });
    expect(elsewhere.mirror).toMatch(/debian\.org/);
    expect(elsewhere.rootfs.multistrap.repos).toHaveLength(3);
    write('apt-small/sources.list', 'deb http://mirror.test/debian trixie main\n');
    const small = await resolveBuild('node', {}, { cwd, aptDirectory: join(cwd, 'apt-small') });
    expect(small.rootfs.multistrap.repos.map(({ suite }) => suite)).toEqual(['trixie', 'trixie-updates']);
  });

  test.each(['debian-12', 'ubuntu-20.04', 'ubuntu-22.04', 'ubuntu-24.04'])(
    '%s has complete data',
    async (distribution) => {
      for (const rootfs_arch of ['amd64', 'arm64'] as const) {
        const resolved = await resolve({ distribution, rootfs: { multistrap: { rootfs_arch } } });
        expect(resolved.rootfs.multistrap.packages).toContain('openssh-server');
        expect(resolved.distribution.boot_packages).toContain(`grub-efi-${rootfs_arch}-bin`);
        expect(resolved.mirror).toMatch(/^http/);
        expect(JSON.stringify(resolved)).not.toContain('undefined');
      }
    },
  );

  test('another container runtime takes the place of the default one; what the spec names stays', async () => {
    const repository = (name: string) => ({
      ...{ name: 'vendor', source: 'http://vendor.test/', suite: '/', keyring: 'key' },
      packages: [name],
    });
    const packagesOf = async (multistrap: NonNullable<NonNullable<BuildSpec['rootfs']>['multistrap']>) =>
      (await resolve({ rootfs: { multistrap } })).rootfs.multistrap.packages;
    expect(await packagesOf({})).toContain('containerd');
    expect(await packagesOf({ repos_append: [repository('other')] })).toContain('containerd');
    expect(await packagesOf({ repos_append: [repository('containerd.io=2.1.5-1')] })).not.toContain(
      'containerd',
    );
    expect(await packagesOf({ packages_append: ['cri-o'] })).not.toContain('containerd');
    expect(await packagesOf({ packages: ['containerd', 'cri-o'] })).toEqual(['containerd', 'cri-o']);
  });

  test('what an arm64 machine has not is no default', async () => {
    const { bootTest } = await resolve({ rootfs: { multistrap: { rootfs_arch: 'arm64' } } });
    expect(bootTest.firmware).toEqual(['uefi']);
  });

  test('the same input gives the same text', async () => {
    expect(JSON.stringify(await resolve({}))).toBe(JSON.stringify(await resolve({})));
  });
});

describe('merging', () => {
  test('maps are merged, lists replaced, _append lists added, ubuntu_packages are packages', async () => {
    const { rootfs } = await resolve({
      rootfs: {
        multistrap: { ubuntu_packages: ['vim'], packages_append: ['less'] },
        osconfig: {
          grub: { GRUB_TIMEOUT: '1' },
          grub_cmdline_linux_default_append: [{ name: 'quiet' }, { name: 'x', value: 1 }],
          limits: [],
          sysctl_append: [{ name: 'vm.swappiness', value: 0 }],
        },
      },
    });
    expect(rootfs.multistrap.packages).toEqual(['vim', 'less']);
    expect(rootfs.multistrap.kernel_headers_pkg).toBe('');
    expect(rootfs.osconfig.grub.GRUB_TIMEOUT).toBe(1);
    expect(kernelCommandLine(rootfs.osconfig)).toMatch(
      /^console=ttyS0,115200n8 .* rcu_nocb_poll=true quiet x=1$/,
    );
    expect(rootfs.osconfig.limits).toEqual([]);
    expect(rootfs.osconfig.sysctl.at(-1)).toEqual({ name: 'vm.swappiness', value: '0' });
    expect(rootfs.osconfig.sysctl.length).toBe(25);
  });

  test('of equal kernel arguments the last one counts, but where the place has a meaning', async () => {
    const { rootfs } = await resolve({
      rootfs: {
        osconfig: {
          grub: {
            GRUB_CMDLINE_LINUX_DEFAULT: [
              { name: 'console', value: 'ttyS0' },
              { name: 'console', value: 'tty0' },
              { name: 'isolcpus', value: 1 },
              { name: 'hugepagesz', value: '2M' },
              { name: 'hugepages', value: 16 },
            ],
          },
          grub_cmdline_linux_default_append: [
            { name: 'hugepagesz', value: '1G' },
            { name: 'hugepages', value: 16 },
            { name: 'isolcpus', value: '1' },
            { name: 'console', value: 'ttyS0' },
          ],
        },
      },
    });
    expect(kernelCommandLine(rootfs.osconfig)).toBe(
      'console=tty0 hugepagesz=2M hugepages=16 hugepagesz=1G hugepages=16 isolcpus=1 console=ttyS0',
    );
  });

  test('a QCOW adds to the variables of the root file system; items run where they were written', async () => {
    const { rootfs, qcows } = await resolve({
      rootfs: {
        osconfig: {
          files: [
            { name: '/etc/a', file_content: '' },
            { name: '/etc/b', file_content: '', run_contexts: ['qcow'] },
          ],
        },
      },
      qcows: {
        one: { osconfig: { files_append: [{ name: '/etc/c', file_content: '', permissions: '0600' }] } },
        two: { osconfig: { files: [{ name: '/etc/d', file_content: '' }] } },
      },
    });
    const shown = (files: { name: string; run_contexts: string[] }[] = []) =>
      files.map(({ name, run_contexts }) => `${name} ${run_contexts}`);
    expect(shown(rootfs.osconfig.files)).toEqual(['/etc/a common', '/etc/b qcow']);
    expect(shown(qcows.one?.osconfig.files)).toEqual(['/etc/a common', '/etc/b qcow', '/etc/c qcow']);
    expect(shown(qcows.two?.osconfig.files)).toEqual(['/etc/d qcow']);
    expect(qcows.one?.osconfig.files[2]).toMatchObject({ owner: 'root', group: 'root', permissions: '0600' });
  });

  test('manifests, the profile over them, the object over both; scripts in the order of their names', async () => {
    write(
      'm/manifests/rootfs/multistrap-vars.yaml',
      'k8s_version: 1.20.0-00\nkernel_base_pkg: linux-image-cloud-amd64\n',
    );
    write('m/manifests/rootfs/osconfig-vars.yaml', 'sysctl: []\n');
    write('m/manifests/qcow-bundle/control-plane/qcow-vars.yaml', 'qcow_capacity: 5G\n');
    write(
      'm/manifests/qcow-bundle/data-plane/osconfig-vars.yaml',
      'user_scripts: [{file_content: "#!/bin/sh"}]\n',
    );
    write('m/manifests/qcow-bundle-subcluster/worker/qcow-vars.yaml', 'qcow_capacity: 6G\n');
    write('m/manifests/scripts/common/20-b', 'b');
    write('m/manifests/scripts/common/10-a', 'a');
    write('m/manifests/scripts/common/README.md', '');
    write('m/manifests/scripts/qcow/1', 'q');
    write(
      'm/profiles/k8s-x/manifests/rootfs/multistrap-vars.yaml',
      'k8s_version: 1.34.2-1.1\npackages_append: [kubelet]\n',
    );
    const build: BuildSpec = { manifests: 'm/manifests', profile: 'k8s-x' };
    const resolved = await resolve({ ...build, qcows: { 'data-plane': { qcow: { qcow_capacity: '7G' } } } });
    expect(resolved.rootfs.multistrap).toMatchObject({
      k8s_version: '1.34.2-1.1',
      kernel_base_pkg: 'linux-image-amd64',
    });
    expect(resolved.rootfs.osconfig.sysctl).toEqual([]);
    expect(Object.keys(resolved.qcows)).toEqual(['control-plane', 'data-plane']);
    expect(resolved.qcows['control-plane']?.qcow.qcow_capacity).toBe('5G');
    expect(resolved.qcows['data-plane']?.qcow.qcow_capacity).toBe('7G');
    expect(resolved.qcows['data-plane']?.osconfig.user_scripts[0]?.run_contexts).toEqual(['qcow']);
    expect(resolved.rootfs.scripts.map(({ name }) => name)).toEqual(['10-a', '20-b']);
    expect(resolved.qcows['data-plane']?.scripts).toEqual([{ name: '1', content: 'q' }]);
    expect(Object.keys((await resolve(build, 'qcow-bundle-subcluster')).qcows)).toEqual(['worker']);
    expect(resolved.profile).toEqual({ name: 'k8s-x' });
  });

  test('a profile tells its end of life', async () => {
    write(
      'm/profiles/k8s-x/manifests/rootfs/multistrap-vars.yaml',
      'k8s_version: 1.34.2-1.1\npackages_append: [kubelet]\n',
    );
    write('m/profiles/k8s-x/profile.yaml', 'endOfLife: 2026-10-27\n');
    const build: BuildSpec = { manifests: 'm/profiles', profile: 'k8s-x' };
    const resolved = await resolve(build);
    expect(resolved.profile).toEqual({ name: 'k8s-x', endOfLife: '2026-10-27' });
    expect(endOfLifeWarning(resolved, new Date('2026-10-27T23:59:59Z'))).toBeUndefined();
    expect(endOfLifeWarning(resolved, new Date('2026-10-28T00:00:00Z'))).toMatch(
      /^the profile k8s-x reached its end of life on 2026-10-27/,
    );
    for (const [text, message] of [
      ['endOfLife: soon\n', 'endOfLife is not a date'],
      ['endOfLife: 2026-02-31x\n', 'endOfLife is not a date'],
      ['eol: 2026-10-27\n', 'has the unknown field eol'],
      ['- [', 'is not valid YAML'],
    ] as const) {
      write('m/profiles/k8s-x/profile.yaml', text);
      expect(await findingsOf(build)).toMatchObject([
        { field: 'spec.build.profile', message: expect.stringContaining(message) },
      ]);
    }
  });
});

describe('variable files', () => {
  test('numbers keep their digits where text is meant, and are counted nowhere else', async () => {
    write(
      'numbers/rootfs/osconfig-vars.yaml',
      'sysctl:\n- {name: fs.file-max, value: 9223372036854775807}\n- {name: a, value: 1.20}\n- {name: b, value: 0x10}\n',
    );
    const { rootfs } = await resolve({ manifests: 'numbers' });
    expect(rootfs.osconfig.sysctl.map(({ value }) => value)).toEqual(['9223372036854775807', '1.20', '0x10']);
    write('numbers/rootfs/osconfig-vars.yaml', 'grub: {GRUB_TIMEOUT: 5.0}\n');
    expect(await findingsOf({ manifests: 'numbers' })).toMatchObject([
      { field: 'spec.build.rootfs.osconfig.grub.GRUB_TIMEOUT', message: expect.stringContaining('"5.0"') },
    ]);
  });

  test('merge keys', async () => {
    write(
      'merge/rootfs/osconfig-vars.yaml',
      "files:\n- &base {name: /etc/a, file_content: x, permissions: '0600'}\n- {<<: *base, name: /etc/b}\n",
    );
    const { rootfs } = await resolve({ manifests: 'merge' });
    expect(rootfs.osconfig.files[1]).toMatchObject({
      name: '/etc/b',
      file_content: 'x',
      permissions: '0600',
    });
  });
});

describe('templates', () => {
  test('references are replaced, also in each other, without Ansible', async () => {
    const { rootfs } = await resolve({
      rootfs: {
        multistrap: {
          k8s_version: '1.34.2-1.1',
          packages: ['kubelet={{ k8s_version }}'],
          repos_append: [
            {
              name: 'k',
              source: 'http://k.test',
              suite: '/',
              keyring: 'x',
              // A template may stand for a value of any type.
              packages: '{{ ubuntu_packages }}' as never,
            },
          ],
        },
      },
    });
    expect(rootfs.multistrap.packages).toEqual(['kubelet=1.34.2-1.1']);
    expect(rootfs.multistrap.repos.at(-1)?.packages).toEqual(['kubelet=1.34.2-1.1']);
  });
});

describe('variables of the author', () => {
  test('are accepted in files when a template refers to them, and are there for templates only', async () => {
    write(
      'own/rootfs/multistrap-vars.yaml',
      'my_release: "1.34"\nmy_version: "{{ my_release }}.2"\nk8s_version: "{{ my_version }}"\npackages_append: [kubelet]\n',
    );
    write('own/qcow-bundle/a/qcow-vars.yaml', 'img_name: "node-{{ my_version }}"\n');
    const resolved = await resolve({ manifests: 'own' });
    expect(resolved.rootfs.multistrap.k8s_version).toBe('1.34.2');
    expect(resolved.qcows.a?.qcow.img_name).toBe('node-1.34.2');
    expect(JSON.stringify(resolved)).not.toContain('my_');
  });

  test('that no template refers to are spelling mistakes', async () => {
    write('typo/rootfs/multistrap-vars.yaml', 'k8s_versoin: "1.34"\nrootfs_root: "{{ rootfs_arch }}"\n');
    expect(await findingsOf({ manifests: 'typo' })).toMatchObject([
      {
        field: 'spec.build.rootfs.multistrap.k8s_versoin',
        message: 'unknown field; did you mean k8s_version?',
        file: join(cwd, 'typo/rootfs/multistrap-vars.yaml'),
      },
    ]);
  });
});

describe('findings', () => {
  test('name the field and the file', async () => {
    write('bad/rootfs/osconfig-vars.yaml', 'sysctl:\n  - {name: a, valu: 1}\n');
    write('bad/qcow-bundle/a.b/qcow-vars.yaml', 'qcow_capacity: 19\n');
    const findings = await findingsOf({ manifests: 'bad' });
    expect(findings).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          field: 'spec.build.rootfs.osconfig.sysctl[0].valu',
          file: join(cwd, 'bad/rootfs/osconfig-vars.yaml'),
        }),
        expect.objectContaining({ field: 'spec.build.qcows["a.b"].qcow.qcow_capacity' }),
      ]),
    );
  });

  test('YAML that does not parse, a map that is none', async () => {
    write('bad2/rootfs/osconfig-vars.yaml', 'a: [\n');
    write('bad3/rootfs/osconfig-vars.yaml', '- a\n');
    expect((await findingsOf({ manifests: 'bad2' }))[0]).toMatchObject({
      field: 'spec.build.rootfs.osconfig',
      message: expect.stringMatching(/line 2/),
    });
    expect((await findingsOf({ manifests: 'bad3' }))[0]?.message).toMatch(/not a map/);
  });

  test('tags of other programs, several documents', async () => {
    write('bad4/rootfs/osconfig-vars.yaml', 'banners:\n  login: !vault |\n    $ANSIBLE_VAULT;1.1\n');
    write('bad5/rootfs/osconfig-vars.yaml', 'sysctl: []\n---\nlimits: []\n');
    expect(await findingsOf({ manifests: 'bad4' })).toMatchObject([
      {
        field: 'spec.build.rootfs.osconfig',
        file: join(cwd, 'bad4/rootfs/osconfig-vars.yaml'),
        message: expect.stringMatching(/!vault.* at line 2, column 10$/),
      },
    ]);
    expect((await findingsOf({ manifests: 'bad5' }))[0]?.message).toMatch(/2 YAML documents; put all/);
  });

  test('directories, profiles and distributions that do not exist', async () => {
    expect(await findingsOf({ manifests: 'none' })).toMatchObject([{ field: 'spec.build.manifests' }]);
    expect(await findingsOf({ profile: 'none' })).toMatchObject([{ field: 'spec.build.profile' }]);
    expect(await findingsOf({ distribution: 'plan9' })).toMatchObject([
      { field: 'spec.build.distribution', message: expect.stringContaining('debian-13') },
    ]);
  });

  test('packages that are options, repositories without a key, with two, with a name that is a path', async () => {
    const repository = { name: 'r', source: 'http://r.test', suite: '/', keyring: 'k' };
    const findings = await findingsOf({
      rootfs: {
        multistrap: {
          packages: ['vim', '-o=Dir=/', 'a b'],
          repos_append: [
            { ...repository, name: '../r' },
            { ...repository, keyring_pkg: 'also' },
            { name: 'r', source: 'http://other.test', suite: 'stable' },
            { ...repository, components: 'main', packages: ['--yes'] },
            { name: 'f', source: 'http://r.test', suite: '/', keyring_file: 'absent.gpg' },
          ],
        },
      },
    });
    const base = 'spec.build.rootfs.multistrap';
    expect(findings.map(({ field }) => field)).toEqual([
      `${base}.packages[1]`,
      `${base}.packages[2]`,
      `${base}.repos_append[0].name`,
      `${base}.repos_append[1]`,
      `${base}.repos_append[2]`,
      `${base}.repos_append[2].components`,
      `${base}.repos_append[3].components`,
      `${base}.repos_append[3].packages[0]`,
      `${base}.repos_append[4].keyring_file`,
    ]);
  });
});

describe("the distribution's own repositories", () => {
  const reposOf = async (
    multistrap: NonNullable<NonNullable<BuildSpec['rootfs']>['multistrap']>,
    distribution = 'debian-13',
  ) => (await resolve({ distribution, rootfs: { multistrap } })).rootfs.multistrap;
  const date = '20261101T000000Z';

  test('as they were at a date, though what says so has expired', async () => {
    const { repos, snapshot } = await reposOf({ snapshot: date });
    expect(snapshot).toBe(date);
    expect(repos.map(({ name, source }) => `${name} ${source}`)).toEqual([
      `trixie http://snapshot.debian.org/archive/debian/${date}`,
      `trixie-updates http://snapshot.debian.org/archive/debian/${date}`,
      `trixie-security http://snapshot.debian.org/archive/debian-security/${date}`,
    ]);
    expect(repos.every(({ check_valid_until }) => check_valid_until === false)).toBe(true);
    const ubuntu = await reposOf({ snapshot: date }, 'ubuntu-24.04');
    expect(new Set(ubuntu.repos.map(({ source }) => source))).toEqual(
      new Set([`https://snapshot.ubuntu.com/ubuntu/${date}`]),
    );
    expect((await reposOf({})).repos.some((repository) => 'check_valid_until' in repository)).toBe(false);
  });

  test('with firmware and microcode, with backports', async () => {
    const { repos, packages } = await reposOf({
      packages: ['vim'],
      non_free_firmware: true,
      backports: 'yes',
    });
    expect(repos.map(({ suite }) => suite)).toContain('trixie-backports');
    for (const { components } of repos) expect(components).toEqual(['main', 'non-free-firmware']);
    expect(packages).toEqual(['vim', 'amd64-microcode', 'intel-microcode']);
    expect(
      (await reposOf({ rootfs_arch: 'arm64', packages: ['vim'], non_free_firmware: true })).packages,
    ).toEqual(['vim']);
  });

  test('are not what repos replaces, and are on one mirror', async () => {
    const base = 'spec.build.rootfs.multistrap';
    const own = { name: 'r', source: 'http://r.test', suite: '/', keyring: 'k' };
    expect(
      await findingsOf({ rootfs: { multistrap: { repos: [own], snapshot: date, backports: true } } }),
    ).toMatchObject([{ field: `${base}.snapshot` }, { field: `${base}.backports` }]);
    expect(
      await findingsOf({ mirror: 'http://m.test/debian', rootfs: { multistrap: { snapshot: date } } }),
    ).toMatchObject([{ field: `${base}.snapshot` }]);
  });

  test('a login of a mirror is for fetching only', async () => {
    const build = await resolve({
      mirror: 'http://ci:s3cr3t@m.test/debian',
      rootfs: {
        multistrap: { repos_append: [{ ...repositoryOf('own'), source: 'http://u:s3cr3t@o.test' }] },
      },
    });
    const { sources, ...rest } = build;
    expect(sources.own).toEqual(['http://u:s3cr3t@o.test']);
    expect(sources.trixie).toEqual(['http://ci:s3cr3t@m.test/debian']);
    expect(JSON.stringify(rest)).not.toContain('s3cr3t');
  });
  const repositoryOf = (name: string) => ({ name, suite: '/', keyring: 'k' });
});

describe('what reaches apt', () => {
  const base = 'spec.build.rootfs.multistrap';
  const repository = { name: 'r', source: 'http://r.test', suite: '/', keyring: 'k' };
  const fieldsOf = async (multistrap: NonNullable<NonNullable<BuildSpec['rootfs']>['multistrap']>) =>
    (await findingsOf({ rootfs: { multistrap } })).map(({ field }) => field);
  const option = '-oAptCli::Hooks::Install::=id > ./pwned; cat';

  test('is a package in every field', async () => {
    expect(
      await fieldsOf({
        kernel_base_pkg: option,
        kernel_headers_pkg: 'vim-',
        packages: ['g++', 'vim-'],
        unapproved_packages: ['snapd', 'vim=1', '-o'],
        repos_append: [{ ...repository, keyring: undefined as never, keyring_pkg: option }],
      }),
    ).toEqual([
      `${base}.packages[1]`,
      `${base}.kernel_base_pkg`,
      `${base}.kernel_headers_pkg`,
      `${base}.unapproved_packages[1]`,
      `${base}.unapproved_packages[2]`,
      `${base}.repos_append[0].keyring_pkg`,
    ]);
    await resolve({ rootfs: { multistrap: { kernel_base_pkg: '', kernel_headers_pkg: '' } } });
  });

  test('is no line of its own', async () => {
    expect(
      await fieldsOf({
        repos_append: [
          { ...repository, suite: './\nTrusted: yes\nX: /' },
          { ...repository, suite: 'stable', components: 'main\nTrusted: yes' },
          { ...repository, source: 'http://r.test\nTrusted: yes' },
        ],
      }),
    ).toEqual([
      `${base}.repos_append[0].suite`,
      `${base}.repos_append[1].components`,
      `${base}.repos_append[2].source`,
    ]);
  });

  test('starts no ssh', async () => {
    expect(
      await fieldsOf({ repos_append: [{ ...repository, source: 'ssh://-oProxyCommand=id/x' }] }),
    ).toEqual([`${base}.repos_append[0].source`]);
  });

  test('a key by http has a checksum', async () => {
    const { keyring: _, ...rest } = repository;
    const checksum = `sha256:${'a'.repeat(64)}`;
    expect(
      await fieldsOf({
        repos_append: [
          { ...rest, keyring_url: 'http://r.test/key' },
          { ...rest, keyring_url: 'http://r.test/key', keyring_checksum: checksum },
          { ...rest, keyring_url: 'https://r.test/key' },
        ],
      }),
    ).toEqual([`${base}.repos_append[0].keyring_checksum`]);
  });
});

test('kernel arguments that would not arrive as they are written, with their fields', async () => {
  const findings = await findingsOf({
    rootfs: {
      osconfig: {
        grub: { GRUB_CMDLINE_LINUX_DEFAULT: [{ name: 'fine', value: '"a b"' }, { name: 'two words' }] },
        grub_cmdline_linux_default_append: [
          { name: 'a\tb' },
          { name: 'console', value: 'tty0 console=ttyS0' },
        ],
        sysctl_append: [{ name: 'net.ipv4.tcp_rmem', value: '1\t2\t3' }],
      },
      livecdcontent: { livecd_cmdline: 'boot=live "unfinished' },
    },
    qcows: { a: { osconfig: { grub_cmdline_linux_default_append: [{ name: 'x', value: "it's" }] } } },
  });
  expect(findings.map(({ field }) => field)).toEqual([
    'spec.build.rootfs.osconfig.grub.GRUB_CMDLINE_LINUX_DEFAULT[1]',
    'spec.build.rootfs.osconfig.grub_cmdline_linux_default_append[0]',
    'spec.build.rootfs.osconfig.grub_cmdline_linux_default_append[1]',
    'spec.build.rootfs.livecdcontent.livecd_cmdline',
    'spec.build.qcows.a.osconfig.grub_cmdline_linux_default_append[0]',
  ]);
});

describe('keyring_file', () => {
  test('is read, so that the result does not name this machine', async () => {
    // A packet of a public key (RFC 9580, section 4.2.2) of one byte.
    const packet = Buffer.from([0x98, 1, 4]);
    const armoured = `-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n${packet.toString('base64')}\n-----END PGP PUBLIC KEY BLOCK-----\n`;
    write('key.asc', armoured);
    write('key.gpg', packet);
    const repository = { name: 'r', source: 'http://r.test/', suite: '/' };
    const { rootfs } = await resolve({
      rootfs: {
        multistrap: {
          repos: [
            { ...repository, keyring_file: 'key.asc' },
            { ...repository, name: 's', keyring_file: 'key.gpg' },
          ],
        },
      },
    });
    expect(rootfs.multistrap.repos.map(({ keyring }) => keyring)).toEqual([
      armoured,
      `base64:${packet.toString('base64')}`,
    ]);
    expect(JSON.stringify(rootfs)).not.toContain(cwd);
    expect(rootfs.multistrap.repos[0]?.source).toBe('http://r.test');
  });
});

describe('iso', () => {
  const userData = '#cloud-config\n\npassword: x\n';

  test('text stays as it is, YAML and JSON become JSON, tabs are tolerated', async () => {
    const { iso, qcows } = await resolve({ iso: { userData, networkData: 'links:\n\t- id: eth0\n' } });
    expect(iso?.userData).toBe(userData);
    expect(JSON.parse(iso?.networkData ?? '')).toEqual({ links: [{ id: 'eth0' }] });
    expect(JSON.parse(iso?.metaData ?? '').uuid).toMatch(/^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/);
    expect(iso?.outputFileName).toBe('ephemeral.iso');
    expect(qcows).toEqual({});
  });

  test('maps become cloud-config; the manifests are a source too', async () => {
    write('i/iso/network_data.json', '{"links": []}');
    const { iso } = await resolve({ manifests: 'i', iso: { userData: { runcmd: ['true'] } } });
    expect(iso?.userData).toBe('#cloud-config\nruncmd:\n- "true"\n');
    expect(JSON.parse(iso?.networkData ?? '')).toEqual({ links: [] });
  });

  test('JSON stays as it is written; numbers keep their digits on every way', async () => {
    const json = '{"links": [], "n": 18446744073692774399}';
    const text = await resolve({ iso: { userData, networkData: json } });
    expect(text.iso?.networkData).toBe(`${json}\n`);
    const yaml = await resolve({ iso: { userData, networkData: 'links: []\nn: 18446744073692774399\n' } });
    expect(yaml.iso?.networkData).toContain('"n": 18446744073692774399\n');
    const big = new ExactNumber('18446744073692774399');
    const map = await resolve({ iso: { userData: { id: big }, networkData: { n: big } } });
    expect(map.iso?.networkData).toBe('{\n  "n": 18446744073692774399\n}\n');
    expect(map.iso?.userData).toBe('#cloud-config\nid: 18446744073692774399\n');
  });

  test('a map becomes what readers of YAML 1.1 take for the same', async () => {
    const values = { values: ['no', 'off', '1:30', '190:20:30', '2020-01-01', '1_000', '0b11', '0755'] };
    const { iso } = await resolve({ iso: { userData: values, networkData: '{}' } });
    for (const version of ['1.1', '1.2'] as const)
      expect(parse(iso?.userData ?? '', { version })).toEqual(values);
  });

  test('a cloud-config that cloud-init could not read is found, with the line', async () => {
    const messageOf = async (text: string) => {
      const findings = await findingsOf({ iso: { userData: text, networkData: '{}' } });
      expect(findings[0]?.field).toBe('spec.build.iso.userData');
      return findings[0]?.message;
    };
    expect(await messageOf('#cloud-config\nusers: [\n  bad')).toMatch(/^line 3: /);
    expect(await messageOf('#cloud-config\n- a\n')).toMatch(/not a map/);
    expect(await messageOf('#cloud-config\nfirst: 1\npassword: !vault x\n')).toMatch(/^line 3: .*!vault/);
    expect(await messageOf('#cloud-config\nhostname: {{ name }}\n')).toMatch(
      /^line 2: .* quote text that begins with { or \[$/,
    );
    expect(await messageOf('#cloud-config\na: b\nc: \u0007\n')).toMatch(/^line 3: a control character$/);
    for (const fine of [
      '#cloud-config\n',
      '#cloud-config\nruncmd: [\n  ls\n]\n',
      '#cloud-config\na: 1\na: 2\n',
      '#!/bin/sh\nusers: [',
      '#cloud-config-archive\n- a\n',
      '## template: jinja\n#cloud-config\n{% if x %}\n',
    ])
      expect((await resolve({ iso: { userData: fine, networkData: '{}' } })).iso?.userData).toBe(fine);
  });

  test('packages of a list have live-boot among them, or a script brings it', async () => {
    const iso = { userData, networkData: '{}' };
    const withPackages = (packages: string[], osconfig = {}) => ({
      ...{ iso, rootfs: { multistrap: { packages }, osconfig } },
    });
    expect(await findingsOf(withPackages(['vim']))).toMatchObject([
      { field: 'spec.build.iso', message: expect.stringContaining('packages_append') },
    ]);
    await resolve(withPackages(['vim', 'live-boot-initramfs-tools']));
    const script = { file_content: 'apt-get install -y live-boot' };
    await resolve(withPackages(['vim'], { user_scripts: [script] }));
  });

  test('what is missing or unreadable is named', async () => {
    expect((await findingsOf({ iso: {} })).map(({ field }) => field)).toEqual([
      'spec.build.iso.userData',
      'spec.build.iso.networkData',
    ]);
    expect(await findingsOf({ iso: { userData, networkData: 'just text' } })).toMatchObject([
      { field: 'spec.build.iso.networkData' },
    ]);
  });
});

test('both names of a list that is appended to may stand in one place', async () => {
  const multistrap = {
    packages: ['a1'],
    packages_append: ['b1'],
    ubuntu_packages_append: ['c1'],
  };
  expect((await resolve({ rootfs: { multistrap } })).rootfs.multistrap.packages).toEqual(['a1', 'b1', 'c1']);
});

test('a distribution by the name that the predecessor gives it', async () => {
  expect((await resolve({ distribution: 'ubuntu_focal' })).distribution.name).toBe('ubuntu-20.04');
  expect((await findingsOf({ distribution: 'ubuntu_disco' }))[0]?.message).toMatch(/available: debian-12/);
});

// Variable files as users of the predecessor have them: what they say is taken, or named with what to write instead.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { InvalidInputError } from '../../../../image-builder/base/diagnostics/error.ts';
import { planPartitions } from '../../../../image-builder/disk/partition-table.ts';
import { resolveBuild } from '../../../../image-builder/spec/variables/resolve.ts';

const cwd = mkdtempSync(join(tmpdir(), 'predecessor-'));
afterAll(() => rmSync(cwd, { recursive: true }));

let manifests = 0;
/** A build of these files. */
async function resolve(files: Record<string, string>, distribution = 'ubuntu_focal') {
  const directory = `manifests-${++manifests}`;
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(cwd, directory, path)), { recursive: true });
    writeFileSync(join(cwd, directory, path), text);
  }
  return await resolveBuild(
    'qcow-bundle',
    { manifests: directory, distribution },
    { cwd, aptDirectory: cwd },
  );
}
const osconfig = async (text: string) =>
  (await resolve({ 'rootfs/osconfig-vars.yaml': text })).rootfs.osconfig;
const multistrap = async (text: string) =>
  (await resolve({ 'rootfs/multistrap-vars.yaml': text })).rootfs.multistrap;
const qcow = async (text: string) =>
  (await resolve({ 'qcow-bundle/node/qcow-vars.yaml': text })).qcows.node?.qcow;
async function findingsOf(files: Record<string, string>) {
  const error = await resolve(files).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(InvalidInputError);
  return (error as InvalidInputError).findings();
}
const messagesOf = async (text: string) =>
  Object.fromEntries(
    (await findingsOf({ 'rootfs/osconfig-vars.yaml': text })).map(({ field, message }) => [
      field?.replace('spec.build.rootfs.osconfig.', ''),
      message,
    ]),
  );

describe('osconfig', () => {
  test('names of directories and contexts of its own are accepted', async () => {
    await osconfig(
      'rootfs_root: build\ndefault_run_context: common\nqcow_run_context: qcow\n' +
        'user_scripts_dir_default: /config/scripts/common\nuser_scripts_dir_qcow: /config/scripts/qcow\n',
    );
  });

  test('users: a locked account without a password, a hash under the name password', async () => {
    const { user_management } = await osconfig(`user_management:
- {name: test, shell: /bin/false, password: '', password_lock: yes}
- {name: ops, password: $6$salt$hash, group: 100, groups: [sudo, 27]}
`);
    expect(user_management[0]).toMatchObject({ name: 'test', password_lock: true });
    expect(user_management[0]).not.toHaveProperty('password_hash');
    expect(user_management[1]).toMatchObject({
      ...{ password_hash: '$6$salt$hash', group: '100', groups: ['sudo', '27'] },
    });
    expect(user_management[1]).not.toHaveProperty('password');
    expect(await messagesOf('user_management: [{name: a, password: secret}]')).toEqual({
      'user_management[0].password': expect.stringMatching(/password_hash/),
    });
  });

  test('units: force, every spelling of a switch, dots in names', async () => {
    const { systemd } = await osconfig(`systemd:
- {name: sample.service, file_content: '', enabled: Yes, force: no}
- {name: node.exporter, enabled: 'True', masked: OFF}
- {name: app@1.socket}
`);
    expect(systemd).toMatchObject([
      { name: 'sample.service', enabled: true, force: false },
      { name: 'node.exporter.service', enabled: true, masked: false },
      { name: 'app@1.socket' },
    ]);
    const names = await messagesOf(`systemd:
- {name: a, file_name: ../../x, file_content: ''}
- {name: ..}
`);
    expect(Object.keys(names)).toEqual(['systemd[0].file_name', 'systemd[1].name']);
    expect(
      await messagesOf(
        "systemd: [{name: a, file_name: b.unit, file_content: ''}, {name: a, file_name: b, override: ''}]",
      ),
    ).toEqual({
      'systemd[0].file_name': expect.stringContaining('.service'),
      'systemd[1].file_name': expect.stringContaining('.conf'),
    });
  });

  test('modules with parameters, the serial console as a list', async () => {
    const { kernel, grub } =
      await osconfig(`kernel: {modules: {load: [{name: bonding, args: mode=4 miimon=100}, {name: dm-raid}]}}
grub:
  GRUB_TIMEOUT: -1
  GRUB_SERIAL_COMMAND:
  - {name: speed, value: 'ttyS0,115200n8'}
  - {name: unit, value: '0'}
  - {name: word, value: 8}
`);
    expect(kernel.modules.load).toEqual([
      { name: 'bonding', args: 'mode=4 miimon=100' },
      { name: 'dm-raid' },
    ]);
    expect(grub).toMatchObject({
      GRUB_TIMEOUT: -1,
      GRUB_SERIAL_COMMAND: 'serial --speed=115200 --unit=0 --word=8',
    });
    expect((await osconfig("grub: {GRUB_TIMEOUT: '-1'}")).grub.GRUB_TIMEOUT).toBe(-1);
  });

  test('words that Ansible writes as numbers into sysctl.conf', async () => {
    const { sysctl } = await osconfig(
      'sysctl: [{name: a, value: yes}, {name: b, value: Off}, {name: c, value: true}, {name: d, value: 5}]',
    );
    expect(sysctl.map(({ value }) => value)).toEqual(['1', '0', '1', '5']);
  });

  test('numbers: contents, owners, modes', async () => {
    const { files } = await osconfig(
      'files: [{name: /a, file_content: 4711, permissions: 0640, owner: 1000}, {name: /b, file_content: 1.20, permissions: 0o755}, ' +
        '{name: /c, file_content: "", permissions: "u=rw,go=r"}, {name: /d, file_content: "", permissions: a=rX}]',
    );
    expect(files).toMatchObject([
      { file_content: '4711', permissions: '0640', owner: '1000' },
      { file_content: '1.20', permissions: '0755' },
      { permissions: 'u=rw,go=r' },
      { permissions: 'a=rX' },
    ]);
    const messages = await messagesOf(`files:
- {name: /a, file_content: '', permissions: 755}
- {name: /b, file_content: '', permissions: 'rw'}
user_management: [{name: a, uid: -1}, {name: b, uid: 1000.5}, {name: c, uid: 010}, {name: d, uid: 5000000000}]
grub: {GRUB_TIMEOUT: 2.5}
sysctl:
`);
    expect(messages).toEqual({
      'files[0].permissions': expect.stringMatching(/^is the number 755, .*; put the value in quotes$/),
      'files[1].permissions': expect.stringMatching(/"0755", or u=rwx,go=rx/),
      'user_management[0].uid': 'is the number -1, expected 0 or more',
      'user_management[1].uid': expect.not.stringContaining('quotes'),
      'user_management[2].uid': expect.stringContaining('"010"'),
      'user_management[3].uid': expect.stringContaining('5000000000'),
      'grub.GRUB_TIMEOUT': expect.stringContaining('2.5'),
      sysctl: expect.stringContaining('write [] for none'),
    });
  });

  test('a download without a place lies where scripts find it', async () => {
    const { fetch_from_url } = await osconfig(
      'fetch_from_url: [{url: "https://www.example.com/a/resource.tar.gz?x=/y", use_proxy: no}, {url: "http://a.test"}]',
    );
    expect(fetch_from_url).toMatchObject([
      { dest: '/tmp/url_resources/resource.tar.gz', use_proxy: false },
      { dest: '/tmp/url_resources/index.html' },
    ]);
  });

  test('what cannot be in an image is named with the reason', async () => {
    const content = "file_content: ''";
    const messages = await messagesOf(`files:
- {name: /run/a, ${content}}
- {name: //var/run/a, ${content}}
- {name: /tmp/./a, ${content}}
- {name: /etc/machine-id, ${content}}
- {name: /etc/ssh/ssh_host_ed25519_key, ${content}}
- {name: /var/log/a, ${content}}
- {name: /etc/hostname, ${content}}
- {name: /etc/resolv.conf, ${content}}
- {name: /runner, ${content}}
directories: [{name: /var/log/app}, {name: /proc/x}, {name: /tmp, permissions: '1777'}]
fetch_from_url_append: [{url: http://a.test/b, dest: /dev/b}]
`);
    const refused = [...[0, 1, 2, 3, 4, 5].map((index) => `files[${index}].name`), 'directories[1].name'];
    expect(Object.keys(messages).sort()).toEqual([...refused, 'fetch_from_url_append[0].dest'].sort());
    expect(messages['files[5].name']).toBe(
      'is /var/log/a, which is a log, which is emptied when the image is finished',
    );
  });

  test('scripts with Windows line ends are named, with their file', async () => {
    const findings = await findingsOf({
      'rootfs/osconfig-vars.yaml': 'user_scripts: [{file_content: "#!/bin/sh\\r\\ntrue\\r\\n"}]\n',
    });
    expect(findings).toMatchObject([
      {
        field: 'spec.build.rootfs.osconfig.user_scripts[0].file_content',
        message: expect.stringMatching(/Windows/),
      },
    ]);
    const [finding] = await findingsOf({ 'scripts/qcow/10-win': '#!/bin/sh\r\ntrue\r\n' });
    expect(finding).toMatchObject({ file: expect.stringMatching(/scripts\/qcow\/10-win$/) });
  });
});

describe('multistrap', () => {
  test('packages as text, also to append to; none', async () => {
    const { packages, unapproved_packages } = await multistrap(
      'packages: "vim, less\\ttmux"\npackages_append: mtr\nunapproved_packages: snapd ufw\n',
    );
    expect(packages).toEqual(['vim', 'less', 'tmux', 'mtr']);
    expect(unapproved_packages).toEqual(['snapd', 'ufw']);
    expect((await multistrap('packages: ""\n')).packages).toEqual([]);
    const findings = await findingsOf({
      'rootfs/multistrap-vars.yaml': 'packages: vim -o=x\nunapproved_packages: vim-\n',
    });
    expect(findings.map(({ field }) => field)).toEqual([
      'spec.build.rootfs.multistrap.packages[1]',
      'spec.build.rootfs.multistrap.unapproved_packages[0]',
    ]);
  });

  test('suites of one archive share the key that one of them names; those of the distribution have its own', async () => {
    const { repos } = await multistrap(`repos:
- {name: main, source: 'http://archive.ubuntu.com/ubuntu/', keyring_pkg: ubuntu-keyring, suite: focal, components: main}
- {name: updates, source: 'http://archive.ubuntu.com/ubuntu', suite: focal-updates, components: main}
- {name: security, source: 'http://security.ubuntu.com/ubuntu', suite: focal-security, components: main}
- {name: vendor, source: 'http://vendor.test', keyring: key, suite: /}
- {name: vendor2, source: 'http://vendor.test/', suite: two/}
`);
    expect(repos.map(({ keyring_pkg, keyring }) => keyring_pkg ?? keyring)).toEqual([
      ...['ubuntu-keyring', 'ubuntu-keyring', 'ubuntu-keyring', 'key', 'key'],
    ]);
    const findings = await findingsOf({
      'rootfs/multistrap-vars.yaml': `repos_append:
- {name: a, source: 'http://archive.ubuntu.com.evil.test/ubuntu', suite: focal, components: main}
- {name: b, source: 'http://vendor.test', keyring: key, suite: /, explicitsuite: true, additional: x, reinstall: y}
`,
    });
    expect(findings.map(({ message }) => message)).toEqual([
      expect.stringContaining('name/suite'),
      expect.stringMatching(/^is not supported: put further packages/),
      expect.stringMatching(/^is not supported/),
    ]);
    expect(
      await findingsOf({
        'rootfs/multistrap-vars.yaml':
          "repos_append: [{name: a, source: 'http://archive.ubuntu.com.evil.test/ubuntu', suite: focal, components: main}]\n",
      }),
    ).toMatchObject([{ message: expect.stringContaining('names no key') }]);
  });
});

describe('qcow', () => {
  test('names with their suffix, directories of its own steps', async () => {
    const variables = await qcow(
      'img_name: airship-ubuntu.qcow2\nsrc: /build\ndst: /chroot\nnbd_build_dir: /tmp/x\nimg_output_dir: /config\n',
    );
    expect(variables?.img_name).toBe('airship-ubuntu');
  });

  test.each([
    ['20g', 20 * 2 ** 30],
    ['19.5G', 19.5 * 2 ** 30],
    ['20480M', 20 * 2 ** 30],
    ['21474836480', 20 * 2 ** 30],
    ["'21474836481'", 20 * 2 ** 30 + 2 ** 20],
  ])('a capacity of %s', async (text, bytes) => {
    const variables = await qcow(`qcow_capacity: ${text}`);
    if (!variables) throw new Error('no QCOW');
    expect(planPartitions(variables, 'seed', 'amd64').capacityBytes).toBe(bytes);
  });

  test('positions in powers of ten, a partition for LVM', async () => {
    const variables = await qcow(`qcow_capacity: 10G
partitions:
- {mount: /, part_start: 2000MB, part_end: 5GB, filesystem: {type: ext4}}
- {mount: none, part_start: 1MiB, part_end: 5MiB, flags: [bios_grub]}
- {mount: /boot/efi, part_start: 5MiB, part_end: 516MiB, flags: [esp], filesystem: {type: vfat}}
- {mount: none, part_start: 5GB, part_end: '100%', flags: [lvm]}
`);
    if (!variables) throw new Error('no QCOW');
    const { partitions } = planPartitions(variables, 'seed', 'amd64');
    expect(partitions[0]).toMatchObject({ startBytes: 1908 * 2 ** 20, sizeBytes: (4768 - 1908) * 2 ** 20 });
    expect(partitions[3]?.typeGuid).toBe('E6D6D379-F507-44C2-A23C-238F2A3DF928');
  });
});

test('livecdcontent: lzo, directories of its own steps', async () => {
  const { rootfs } = await resolve({
    'rootfs/livecdcontent-vars.yaml': 'root_chroot: build\nroot_image: build\nmksquashfs_compression: lzo\n',
  });
  expect(rootfs.livecdcontent.mksquashfs_compression).toBe('lzo');
});

test("files of the shape of the roles' defaults, as a whole", async () => {
  const context = 'run_contexts: ["{{ default_run_context }}"]';
  const resolved = await resolve({
    'rootfs/multistrap-vars.yaml': `rootfs_root: build
rootfs_arch: amd64
k8s_version: 1.21.2-00
kernel_base_pkg: linux-image-generic
kernel_headers_pkg: linux-headers-generic
ubuntu_packages: [live-boot, "{{ kernel_base_pkg }}", "{{ kernel_headers_pkg }}"]
repos:
- {register_repo_with_rootfs: true, name: Ubuntu, packages: "{{ ubuntu_packages }}", source: 'http://archive.ubuntu.com/ubuntu/', keyring_pkg: ubuntu-keyring, suite: focal, components: main universe}
- {register_repo_with_rootfs: true, name: Updates, packages: [], source: 'http://archive.ubuntu.com/ubuntu/', suite: focal-updates, omitdebsrc: "true", components: main universe}
- {name: K, packages: ["kubelet={{ k8s_version }}"], source: 'https://k.test', keyring_url: 'https://k.test/key', suite: xenial, omitdebsrc: "true", components: main}
`,
    'rootfs/osconfig-vars.yaml': `default_run_context: common
qcow_run_context: qcow
user_scripts_dir_default: "/config/scripts/{{ default_run_context }}"
directories: [{name: /srv/x, permissions: '0755', ${context}}]
files: [{name: /srv/x/y, file_content: "echo\\n", ${context}}]
systemd: [{name: sample.service, file_content: "[Unit]\\n", enabled: yes, force: no, ${context}}]
user_scripts: [{file_content: "#!/bin/bash\\n", run_contexts: ["{{ qcow_run_context }}"]}]
user_management: [{name: test, shell: /bin/false, password: '', password_lock: yes, ${context}}]
fetch_from_url: []
`,
    'rootfs/livecdcontent-vars.yaml':
      'root_chroot: build\nmksquashfs_threads: "{{ ansible_processor_vcpus }}"\n',
    'qcow-bundle/node/qcow-vars.yaml': 'src: /build\nimg_name: node.qcow2\nqcow_compress: true\n',
  });
  const { multistrap, osconfig: common, livecdcontent } = resolved.rootfs;
  expect(multistrap.repos.map(({ packages }) => packages)).toEqual([
    ['live-boot', 'linux-image-generic', 'linux-headers-generic'],
    [],
    ['kubelet=1.21.2-00'],
  ]);
  expect(common.files[0]?.run_contexts).toEqual(['common']);
  expect(common.user_scripts[0]?.run_contexts).toEqual(['qcow']);
  expect(common.systemd[0]).toMatchObject({ enabled: true, force: false });
  expect(livecdcontent.mksquashfs_threads).toBe(0);
});

test('the findings of all files come at once', async () => {
  const findings = await findingsOf({
    'rootfs/multistrap-vars.yaml': 'repos_append: [{name: a, source: http://a.test, suite: /}]\n',
    'rootfs/osconfig-vars.yaml': 'grub_cmdline_linux_default_append: [{name: a b}]\n',
    'rootfs/livecdcontent-vars.yaml': 'mksquashfs_compression: lzma\n',
    'qcow-bundle/node/qcow-vars.yaml': 'qcow_capacity: 19X\n',
  });
  expect(findings.map(({ file }) => file?.replace(/.*manifests-\d+\//, '')).sort()).toEqual([
    'qcow-bundle/node/qcow-vars.yaml',
    'rootfs/livecdcontent-vars.yaml',
    'rootfs/multistrap-vars.yaml',
    'rootfs/osconfig-vars.yaml',
  ]);
  const unreadable = await findingsOf({
    'rootfs/multistrap-vars.yaml': 'a: [\n',
    'rootfs/osconfig-vars.yaml': 'b: !vault x\n',
  });
  expect(unreadable).toHaveLength(2);
});

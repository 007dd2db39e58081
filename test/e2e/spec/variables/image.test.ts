// The variables whose effect no other test looks up in an image, all in one small Debian: answers for debconf among
// them. (The others: rootfs/debian-13, rootfs/repositories, disk/assemble, boot/iso.)
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import type { BuildSpec } from '../../../../image-builder/spec/api/types.ts';
import { resolveBuild } from '../../../../image-builder/spec/variables/resolve.ts';
import type { ResolvedBuild } from '../../../../image-builder/spec/variables/resolved.ts';
import { multistrapProfile } from '../../../../image-builder/stages/bundle/profiles.ts';
import { configureQcowTree } from '../../../../image-builder/stages/osconfig/configure.ts';
import { runOsconfig } from '../../../../image-builder/stages/osconfig/playbook.ts';
import { menuOf } from '../../../../image-builder/stages/qcow/boot-menu.ts';
import { buildRootfs } from '../../../../image-builder/stages/rootfs/build-rootfs.ts';
import type { InstalledPackages } from '../../../../image-builder/stages/rootfs/rootfs-entry.ts';
import { AptSite, buildPackages, publishFlat } from '../../support/apt-repository.ts';
import { type Observed, stageContext } from '../../support/stage.ts';

const site = new AptSite('variables');
const { directory, www, server, key } = site;
const observed: Observed = { steps: [], lines: [] };
const SECRET = 'correct-horse-battery';
/** Refuses everything: a download that goes through it fails. */
const proxy = createServer((_, response) => response.writeHead(502).end());

let resolved: ResolvedBuild;
let packages: InstalledPackages;
let context: Awaited<ReturnType<typeof stageContext>>;
let tree: string;
const trees: Record<string, string> = {};

const TEMPLATES = ['string', 'boolean', 'select', 'multiselect', 'password']
  .map(
    (type) =>
      `Template: asker/${type}\nType: ${type}\n${/select/.test(type) ? 'Choices: one, two, three\n' : ''}Description: ${type}?\n`,
  )
  .join('\n');
// What a package does with answers: it acts on them, and forgets the secret.
const ASKER = `#!/bin/sh
. /usr/share/debconf/confmodule
for name in string boolean select multiselect; do
  db_get "asker/$name"; echo "$name=$RET" >> /etc/asker.conf
done
db_get asker/password; printf %s "$RET" | sha256sum >> /etc/asker.conf
db_set asker/password ''
`;

const UNIT = '[Service]\nExecStart=true\n[Install]\nWantedBy=multi-user.target\n';
const HASH = '$6$salt$hash';

/** What decides in an image whether there is something to configure. */
const FILES = {
  '/etc/default/kdump-tools': 'USE_KDUMP=1\n',
  '/etc/default/kubelet': 'KUBELET_EXTRA_ARGS=\n',
  '/usr/lib/systemd/system/kubelet.service': '[Service]\n',
  '/usr/lib/systemd/system/ssh.service': '[Service]\nExecStart=true\n',
  '/usr/lib/systemd/system/ssh.socket': '[Socket]\n',
};

const spec = (url: string): BuildSpec => ({
  manifests: 'manifests',
  rootfs: {
    multistrap: {
      rootfs_root: '/nowhere',
      kernel_base_pkg: 'fake-kernel',
      kernel_headers_pkg: 'fake-headers',
      systemd_nic_alternative_names_policy: 'mac',
      ubuntu_packages: ['python3'],
      ubuntu_packages_append: ['systemd'],
      packages_append: ['fake-appended'],
      unapproved_packages: ['fake-unapproved'],
      debconf: [{ package: 'asker', question: 'asker/string', type: 'string', value: 'with two  spaces' }],
      debconf_append: [
        { package: 'asker', question: 'asker/boolean', type: 'boolean', value: true },
        { package: 'asker', question: 'asker/select', type: 'select', value: 'two' },
        { package: 'asker', question: 'asker/multiselect', type: 'multiselect', value: 'one, three' },
        { package: 'asker', question: 'asker/password', type: 'password', value: SECRET },
      ],
      repos_append: [
        {
          name: 'own',
          source: [`${url}/absent`, `${url}/own`],
          suite: '/',
          keyring: key.armoured,
          packages: ['asker', 'kdump-tools'],
          omitdebsrc: 'no',
        },
      ],
    },
    osconfig: {
      grub: {
        GRUB_SERIAL_COMMAND: 'serial --unit=1',
        GRUB_CMDLINE_LINUX_DEFAULT: [{ name: 'quiet' }, { name: 'a', value: '"b $c `d`"' }],
      },
      banners: { motd: 'hello\n' },
      kernel: { modules: { load: [{ name: 'bonding', args: 'mode=4 miimon=100' }, { name: 'dummy' }] } },
      kubelet: {
        extra_systemd_args: [
          { name: 'reserved-cpus', value: '0-3' },
          { name: '--v', value: 2 },
          { name: 'node-labels', value: 'a="b c",d=%p\\$e' },
        ],
      },
      kdump_tools: { crashkernel: '128M' },
      directories: [{ name: '/srv/a', run_contexts: ['common'] }],
      directories_append: [{ name: '/srv/b', group: 'daemon' }],
      files: [{ name: '/srv/a/file', file_content: '1\n' }],
      files_append: [
        { name: '/srv/a/more', file_content: '2\n', permissions: 'u+x,o-r' },
        { name: '/etc/hosts', file_content: '127.0.0.1 localhost own\n' },
        { name: '/etc/default/locale', file_content: 'LANG=C\n' },
        { name: '/etc/hostname', file_content: 'own.example.org\n' },
        {
          name: '/etc/resolv.conf',
          file_content: 'nameserver 192.0.2.53\n',
          run_contexts: ['common', 'qcow'],
        },
      ],
      systemd: [{ name: 'a', file_name: 'renamed.service', file_content: '[Service]\nExecStart=true\n' }],
      systemd_append: [
        { name: 'b.socket', file_name: '10-b.conf', override: '[Socket]\nBacklog=1\n' },
        { name: 'node.exporter', file_content: UNIT, enabled: true, force: true },
      ],
      user_scripts: [{ file_content: '#!/bin/sh\necho 1 >> /srv/a/order\n' }],
      user_scripts_append: [
        { file_content: '#!/bin/sh\necho 2 >> /srv/a/order\necho said\necho warned >&2\n' },
        // Name servers of the building machine while it runs.
        { file_content: 'cat /etc/resolv.conf > /srv/a/resolv.conf\n' },
        { file_content: 'echo appended | tee -a /etc/issue /etc/sysctl.d/95-image-builder.conf\n' },
      ],
      file_permissions: [{ name: '/srv/a', owner: 'daemon', recurse: true, run_contexts: ['common'] }],
      file_permissions_append: [{ name: '/srv/b', permissions: 'u=rwx,go=x' }],
      user_management: [
        { name: 'agent', system: true, group: 'agents', home: '/srv/agent', shell: '/bin/false' },
      ],
      user_management_append: [
        { name: 'second', groups: ['agents'] },
        { name: 'locked', password: HASH, password_lock: 'Yes' },
        { name: 'open', password: HASH },
      ],
      fetch_from_url: [
        {
          url: `${url}/tool`,
          dest: '/srv/fetched/tool',
          owner: 'agent',
          use_proxy: false,
          permissions: 'a=,u+rwX,u+x',
        },
      ],
      fetch_from_url_append: [
        { url: `${url}/tool`, dest: '/srv/fetched/second', use_proxy: 'off' },
        { url: `${url}/tool?x=1`, use_proxy: 'No' },
      ],
    },
  },
  qcows: {
    node: {
      osconfig: {
        limits: [{ domain: 'x', type: '-', item: 'core', value: 1 }],
        files: [{ name: '/srv/qcow', file_content: '' }],
      },
    },
    other: { osconfig: { banners: { motd: '#!/bin/sh\necho welcome\n' }, sysctl: [] } },
  },
});

const inTree = (...argv: string[]) => context.sandbox.run(argv, { cwd: tree });
const textOf = (path: string) => inTree('cat', `.${path}`);
const ownerOf = async (path: string) => (await inTree('chroot', tree, 'stat', '-c', '%a %U %G', path)).trim();

beforeAll(async () => {
  const fake = (name: string) => ({ name, version: '1' });
  buildPackages(join(www, 'own'), [
    ...['fake-kernel', 'fake-headers', 'fake-appended'].map(fake),
    {
      ...fake('asker'),
      control: ['Depends: debconf, fake-unapproved | fake-appended'],
      templates: TEMPLATES,
      postinst: ASKER,
    },
    fake('fake-unapproved'),
    { name: 'kdump-tools', version: '99:1', files: FILES },
  ]);
  // A package list is what deb-src asks for, also when there is no source.
  writeFileSync(join(www, 'own/Sources'), '');
  publishFlat(join(www, 'own'), key);
  writeFileSync(join(www, 'tool'), 'tool\n');
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(directory, 'manifests', path)), { recursive: true });
    writeFileSync(join(directory, 'manifests', path), text);
  };
  write(
    'scripts/common/10-first',
    '#!/bin/sh\necho common >> /srv/a/order\ncp /tmp/url_resources/tool /srv/a/resource\n',
  );
  write('scripts/common/README.md', 'no script');
  write('scripts/qcow/20-second', '#!/bin/sh\necho qcow >> /srv/a/order\n');
  resolved = await resolveBuild('node', spec(await server.start()), { cwd: directory });

  context = await stageContext(directory, 'rootfs', { observed });
  const { distribution, mirror, sources, origins, rootfs } = resolved;
  const built = await buildRootfs(
    {
      distribution: { ...distribution, boot_packages: [] },
      mirror,
      sources,
      origins,
      multistrap: rootfs.multistrap,
    },
    context,
  );
  ({ tree, packages } = built);
  await new Promise<void>((listening) => proxy.listen(0, '127.0.0.1', listening));
  const address = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const { http_proxy: before, HOME } = process.env;
  const home = join(directory, 'home');
  mkdirSync(home);
  Object.assign(process.env, { http_proxy: address, HOME: home });
  try {
    const common = { tree, context: 'common', osconfig: rootfs.osconfig } as const;
    const scripts = rootfs.osconfig.user_scripts.map(({ name, file_content }, index) => ({
      ...{ name, content: file_content, label: `user_scripts[${index}]` },
    }));
    const manifestScripts = rootfs.scripts.map((script) => ({ ...script, label: script.name }));
    await runOsconfig({ ...common, scripts: [...manifestScripts, ...scripts] }, context);
    expect(readdirSync(home, { recursive: true })).toEqual([]);
    for (const [name, image] of Object.entries(resolved.qcows)) {
      const copy = join(context.workDir, name);
      await context.sandbox.run(['cp', '-a', '--reflink=auto', tree, copy]);
      await configureQcowTree(
        {
          ...{ tree: copy, osconfig: image.osconfig, common: rootfs.osconfig, scripts: image.scripts },
          runtimeScripts: image.qcow.qcow_container_runtime_scripts,
        },
        context,
      );
      trees[name] = copy;
    }
    tree = trees.node ?? '';
  } finally {
    process.env.HOME = HOME;
    if (before === undefined) delete process.env.http_proxy;
    else process.env.http_proxy = before;
  }
});

afterAll(async () => {
  await site.stop();
  proxy.close();
  await context.sandbox.run(['rm', '-rf', '--', directory]);
});

test('packages: by every name that lists of them have, none that is not approved, none that stays out', () => {
  expect(Object.keys(packages)).toEqual(
    expect.arrayContaining([
      'python3',
      'systemd',
      'fake-kernel',
      'fake-headers',
      'fake-appended',
      'kdump-tools',
    ]),
  );
  expect(packages['fake-unapproved']).toBeUndefined();
});

describe('debconf', () => {
  test('packages find their answers', async () => {
    const { createHash } = await import('node:crypto');
    const digest = createHash('sha256').update(SECRET).digest('hex');
    expect(await textOf('/etc/asker.conf')).toBe(
      `string=with two  spaces\nboolean=true\nselect=two\nmultiselect=one, three\n${digest}  -\n`,
    );
  });

  test('a password is neither in the log, nor in a profile, nor left in the image by us', async () => {
    expect(observed.lines.join('\n')).not.toContain(SECRET);
    const { json } = multistrapProfile(resolved, packages);
    expect(json).not.toContain(SECRET);
    expect(JSON.parse(json).debconf).toContainEqual({
      package: 'asker',
      question: 'asker/password',
      type: 'password',
    });
    expect(await inTree('sh', '-c', `grep -rlF ${SECRET} etc var usr run tmp || :`)).toBe('');
    expect(
      await context.sandbox.run(['sh', '-c', `grep -rlF ${SECRET} . || :`], { cwd: context.workDir }),
    ).toBe('');
  });
});

test('the image has the preferred mirror, with sources where they are wanted', async () => {
  const own = await textOf('/etc/apt/sources.list.d/own.sources');
  expect(own).toMatch(/^Types: deb deb-src\nURIs: http:\/\/[^/]*\/absent$/m);
  expect(observed.steps.join('\n')).toContain('a mirror failed; trying');
});

test('the alternative names of network interfaces', async () => {
  expect(await textOf('/etc/systemd/network/99-default.link')).toMatch(/^AlternativeNamesPolicy=mac$/m);
});

test('GRUB: serial console, command line, crash kernel', async () => {
  const grub = await textOf('/etc/default/grub.d/50-image-builder.cfg');
  expect(grub).toMatch(/^GRUB_SERIAL_COMMAND="serial --unit=1"$/m);
  expect(grub).toContain(`\nGRUB_CMDLINE_LINUX_DEFAULT="quiet 'a=b \\$c \\\`d\\\`'"\n`);
  const file = join(tree, 'etc/default/grub.d/50-image-builder.cfg');
  expect(await inTree('sh', '-euc', `. ${file}; echo "$GRUB_CMDLINE_LINUX_DEFAULT"`)).toBe(
    "quiet 'a=b $c `d`'\n",
  );
  expect(await textOf('/etc/default/grub.d/kdump-tools.cfg')).toContain('crashkernel=128M');
  expect(menuOf(resolved.rootfs.osconfig, packages)).toEqual({
    timeoutSeconds: 5,
    serialCommand: 'serial --unit=1',
    kernelArguments: ['quiet', 'a=b $c `d`', 'crashkernel=128M'],
  });
  expect(menuOf(resolved.rootfs.osconfig, {}).kernelArguments).toEqual(['quiet', 'a=b $c `d`']);
});

test('lists and what is appended to them', async () => {
  expect(await ownerOf('/srv/b')).toBe('711 root daemon');
  expect(await textOf('/srv/a/file')).toBe('1\n');
  expect(await textOf('/srv/a/more')).toBe('2\n');
  expect(await ownerOf('/srv/a/more')).toBe('740 daemon root');
  expect(await textOf('/etc/systemd/system/renamed.service')).toContain('ExecStart=true');
  expect(await textOf('/etc/systemd/system/b.socket.d/10-b.conf')).toContain('Backlog=1');
});

test('scripts of the manifests before those of the variables, each in its context', async () => {
  expect(await textOf('/srv/a/order')).toBe('common\n1\n2\nqcow\n');
});

test('owners of a whole directory', async () => {
  for (const path of ['/srv/a', '/srv/a/file']) expect(await ownerOf(path)).toMatch(/ daemon root$/);
});

test('users: system, group, home; passwords, and those that are locked', async () => {
  expect(await textOf('/etc/shadow')).toMatch(/^locked:!\$6\$salt\$hash:/m);
  expect(await textOf('/etc/shadow')).toMatch(/^open:\$6\$salt\$hash:/m);
  expect(await textOf('/etc/passwd')).toMatch(/^agent:x:(\d{1,3}):\d+::\/srv\/agent:\/bin\/false$/m);
  expect(await ownerOf('/srv/agent')).toMatch(/ agent agents$/);
  expect(await textOf('/etc/group')).toMatch(/^agents:x:\d+:second$/m);
});

test('downloads past the proxy, with their owners', async () => {
  expect(await ownerOf('/srv/fetched/tool')).toBe('700 agent root');
  expect(await textOf('/srv/fetched/second')).toBe('tool\n');
  expect(await textOf('/srv/a/resource')).toBe('tool\n');
  expect(await inTree('ls', 'tmp')).toBe('');
});

test('arguments of the kubelet, as systemd reads them', async () => {
  const dropIn = await textOf('/etc/systemd/system/kubelet.service.d/20-image-builder.conf');
  expect(dropIn).toContain(
    String.raw`Environment="KUBELET_EXTRA_ARGS=--reserved-cpus=0-3 --v=2 \"--node-labels=a=\\\"b c\\\",d=%%p\\\\$e\""`,
  );
});

test('arguments of the kubelet in the file that its packages read instead', async () => {
  const file = join(tree, 'etc/default/kubelet');
  expect(await inTree('sh', '-euc', `. ${file}; printf %s "$KUBELET_EXTRA_ARGS"`)).toBe(
    String.raw`--reserved-cpus=0-3 --v=2 "--node-labels=a=\"b c\",d=%p\\$e"`,
  );
});

test('services as the predecessor sets them up', async () => {
  const link = async (path: string) => (await inTree('readlink', join('etc/systemd/system', path))).trim();
  expect(await link('multi-user.target.wants/systemd-networkd.service')).toMatch(
    /systemd-networkd\.service$/,
  );
  // Without a config drive cloud-init makes no host keys.
  expect(await link('ssh.service.wants/image-builder-host-keys.service')).toBe(
    '/etc/systemd/system/image-builder-host-keys.service',
  );
  for (const unit of ['ssh.socket', 'apt-daily.timer', 'apt-daily-upgrade.timer'])
    expect(await link(unit)).toBe('/dev/null');
  const kubelet = await textOf('/etc/systemd/system/kubelet.service.d/10-image-builder.conf');
  expect(kubelet).toMatch(
    /^StartLimitIntervalSec=0\n\[Service\]\nRestart=always\nRestartSec=10\nCPUAffinity=\n/m,
  );
});

test('a QCOW writes the settings that it changes, and leaves alone what the common items and scripts have made', async () => {
  const inBoth = async (path: string) =>
    await Promise.all(
      ['node', 'other'].map((name) => context.sandbox.run(['cat', join(trees[name] ?? '', path)])),
    );
  for (const [path, text] of [
    ['/etc/hosts', '127.0.0.1 localhost own\n'],
    ['/etc/default/locale', 'LANG=C\n'],
    ['/etc/issue', 'Authorized users only.\nappended\n'],
  ] as const)
    expect(await inBoth(path)).toEqual([text, text]);
  expect(await inBoth('/etc/motd')).toEqual(['hello\n', '']);
  expect(await inTree('ls', 'etc/update-motd.d')).toBe('');
  const script = join(trees.other ?? '', 'etc/update-motd.d/00-motd');
  expect(await context.sandbox.run(['chroot', trees.other ?? '', '/etc/update-motd.d/00-motd'])).toBe(
    'welcome\n',
  );
  expect(await context.sandbox.run(['stat', '-c', '%a', script])).toBe('755\n');
  expect(await inTree('cat', './etc/sysctl.d/95-image-builder.conf')).toMatch(
    /^kernel\.sysrq = 8\nappended$/m,
  );
  await expect(
    context.sandbox.run(['stat', join(trees.other ?? '', 'etc/sysctl.d/95-image-builder.conf')]),
  ).rejects.toThrow();
});

test('parameters of modules, and a unit with a dot in its name', async () => {
  expect(await textOf('/etc/modules-load.d/image-builder.conf')).toBe('bonding\ndummy\n');
  expect(await textOf('/etc/modprobe.d/image-builder-options.conf')).toBe(
    'options bonding mode=4 miimon=100\n',
  );
  expect(await inTree('readlink', 'etc/systemd/system/multi-user.target.wants/node.exporter.service')).toBe(
    '/etc/systemd/system/node.exporter.service\n',
  );
});

test('its own name and name servers stay; scripts have those of the building machine', async () => {
  for (const name of ['node', 'other']) {
    const read = (path: string) => context.sandbox.run(['cat', join(trees[name] ?? '', path)]);
    expect(await read('/etc/hostname')).toBe('own.example.org\n');
    expect(await read('/etc/resolv.conf')).toBe('nameserver 192.0.2.53\n');
    expect(await read('/srv/a/resolv.conf')).not.toContain('192.0.2.53');
  }
});

test('what scripts print is in the log; one that fails is named with its reason first', async () => {
  const log = observed.lines.join('\n');
  expect(log).toContain('OUTPUT [user_scripts[1]]\n  said\n  warned\n');
  const content = '#!/bin/sh\nseq 2000\necho "FAILED [none] status 0"\necho "the reason" >&2\nexit 3\n';
  const script = { name: 'noisy', content, label: 'user_scripts[4] (noisy)' };
  const { osconfig } = resolved.rootfs;
  const before = osconfig;
  const error = await runOsconfig(
    { tree, context: 'qcow', osconfig, before, scripts: [script] },
    context,
  ).catch((caught: unknown) => caught);
  expect(error).toMatchObject({
    code: 'TASK_FAILED',
    message: 'osconfig failed at "Run scripts": user_scripts[4] (noisy) ended with status 3',
    output: ['the reason', '1997', '1998', '1999', '2000', 'FAILED [none] status 0'],
  });
  const silent = { ...script, content: '#!/bin/sh\nseq 2000\nexit 4\n' };
  await expect(
    runOsconfig({ tree, context: 'qcow', osconfig, before, scripts: [silent] }, context),
  ).rejects.toMatchObject({ output: Array.from({ length: 20 }, (_, index) => String(1981 + index)) });
});

test('limits of a QCOW replace the common ones', async () => {
  expect(await textOf('/etc/security/limits.d/image-builder.conf')).toBe('x - core 1\n');
});

test('what is always set', async () => {
  expect(await textOf('/etc/apt/apt.conf.d/20auto-upgrades')).toMatch(/Unattended-Upgrade "0"/);
});

test('the defaults that nobody has changed are those of the roles', () => {
  expect(resolved.rootfs.multistrap).toMatchObject({
    rootfs_arch: 'amd64',
    systemd_nic_names_policy: 'kernel database onboard path slot',
    multistrap_retries: 3,
    multistrap_retries_delay: 3,
  });
  expect(JSON.stringify(resolved)).not.toContain('/nowhere');
  expect(readFileSync(join(directory, 'rootfs/output/packages.json'), 'utf8')).toContain('"asker"');
});

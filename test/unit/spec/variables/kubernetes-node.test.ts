// spec.build.kubernetes: what a node consists of, what wins over it, and what is refused before anything is built.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parse as parseToml } from 'smol-toml';
import { parse } from 'yaml';
import { InvalidInputError } from '../../../../image-builder/base/diagnostics/error.ts';
import type { BuildSpec } from '../../../../image-builder/spec/api/types.ts';
import { parseImageBuilder } from '../../../../image-builder/spec/api/validate.ts';
import { endOfLifeWarning } from '../../../../image-builder/spec/variables/end-of-life.ts';
import { preloadReferences } from '../../../../image-builder/spec/variables/kubernetes/preload.ts';
import { resolveBuild } from '../../../../image-builder/spec/variables/resolve.ts';
import type { ResolvedOsconfig } from '../../../../image-builder/spec/variables/resolved-osconfig.ts';

const cwd = mkdtempSync(join(tmpdir(), 'kubernetes-node-'));
afterAll(() => rmSync(cwd, { recursive: true }));
const write = (path: string, text: string) => {
  mkdirSync(dirname(join(cwd, path)), { recursive: true });
  writeFileSync(join(cwd, path), text);
};

const resolve = (build: BuildSpec) => resolveBuild('node', build, { cwd, aptDirectory: '/nonexistent' });
const findingsOf = async (build: BuildSpec) => {
  const error = await resolve(build).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(InvalidInputError);
  return (error as InvalidInputError).findings();
};
const small = { multistrap: { packages: ['dbus'] } };
const contentOf = ({ files }: ResolvedOsconfig, path: string) =>
  files.filter(({ name }) => name === path).at(-1)?.file_content ?? '';
// biome-ignore lint/suspicious/noExplicitAny: a document of which the test knows the shape
const containerdOf = (osconfig: ResolvedOsconfig): any =>
  parseToml(contentOf(osconfig, '/etc/containerd/config.toml'));

describe('what a node consists of', () => {
  test('packages of the version, and a runtime that it works with', async () => {
    const { rootfs, kubernetes, sources } = await resolve({
      kubernetes: { version: '1.37.2' },
      rootfs: small,
    });
    expect(rootfs.multistrap.packages).toEqual([
      'dbus',
      'kubelet=1.37.2-*',
      'kubeadm=1.37.2-*',
      'kubectl=1.37.2-*',
      ...['cri-tools', 'kubernetes-cni', 'conntrack', 'ethtool', 'iptables', 'containerd.io'],
    ]);
    expect(rootfs.multistrap.k8s_version).toBe('1.37.2');
    expect(rootfs.multistrap.repos.slice(-2)).toMatchObject([
      {
        name: 'kubernetes',
        source: 'https://pkgs.k8s.io/core:/stable:/v1.37/deb',
        suite: '/',
        keyring_url: 'https://pkgs.k8s.io/core:/stable:/v1.37/deb/Release.key',
      },
      { name: 'docker', source: 'https://download.docker.com/linux/debian', suite: 'trixie' },
    ]);
    expect(sources.kubernetes).toEqual(['https://pkgs.k8s.io/core:/stable:/v1.37/deb']);
    expect(kubernetes).toEqual({ version: '1.37.2', endOfLife: '2027-10-28' });
  });

  test.each([
    ['1.37', 'kubelet=1.37.*'],
    ['v1.37.2', 'kubelet=1.37.2-*'],
    ['1.37.2-1.1', 'kubelet=1.37.2-1.1'],
  ])('version %s asks apt for %s', async (version, request) => {
    const { rootfs } = await resolve({ kubernetes: { version } });
    expect(rootfs.multistrap.packages).toContain(request);
  });

  test('until 1.35 the containerd of the distribution, in the form of its configuration', async () => {
    const { rootfs } = await resolve({ kubernetes: { version: '1.35' }, rootfs: small });
    expect(rootfs.multistrap.packages).toContain('containerd');
    expect(rootfs.multistrap.repos.map(({ name }) => name)).not.toContain('docker');
    expect(containerdOf(rootfs.osconfig)).toMatchObject({
      version: 2,
      plugins: {
        'io.containerd.grpc.v1.cri': {
          sandbox_image: 'registry.k8s.io/pause:3.10.1',
          registry: { config_path: '/etc/containerd/certs.d' },
          containerd: { runtimes: { runc: { options: { SystemdCgroup: true } } } },
        },
      },
    });
  });

  test('what the runtime, the kubelet and the kernel are told', async () => {
    const { rootfs } = await resolve({
      kubernetes: {
        version: '1.37',
        sandboxImage: 'registry.test/pause:1',
        cgroupDriver: 'cgroupfs',
        kubeletConfiguration: { maxPods: 250, evictionHard: { 'memory.available': '5%' } },
        mirrors: {
          'registry.k8s.io': ['https://mirror.test/k8s/', 'http://127.0.0.1:5000'],
          'docker.io': ['https://mirror.test'],
        },
      },
    });
    const { osconfig } = rootfs;
    expect(containerdOf(osconfig)).toMatchObject({
      version: 3,
      plugins: {
        'io.containerd.cri.v1.images': { pinned_images: { sandbox: 'registry.test/pause:1' } },
        'io.containerd.cri.v1.runtime': {
          containerd: { runtimes: { runc: { options: { SystemdCgroup: false } } } },
        },
      },
    });
    expect(parseToml(contentOf(osconfig, '/etc/containerd/certs.d/registry.k8s.io/hosts.toml'))).toEqual({
      server: 'https://registry.k8s.io',
      host: {
        // A registry has its API at /v2, whatever path repositories have.
        'https://mirror.test/v2/k8s': { capabilities: ['pull', 'resolve'], override_path: true },
        'http://127.0.0.1:5000': { capabilities: ['pull', 'resolve'] },
      },
    });
    expect(parseToml(contentOf(osconfig, '/etc/containerd/certs.d/docker.io/hosts.toml'))).toMatchObject({
      server: 'https://registry-1.docker.io',
    });
    expect(parse(contentOf(osconfig, '/etc/kubernetes/kubelet.conf.d/10-image-builder.conf'))).toEqual({
      apiVersion: 'kubelet.config.k8s.io/v1beta1',
      kind: 'KubeletConfiguration',
      cgroupDriver: 'cgroupfs',
      maxPods: 250,
      evictionHard: { 'memory.available': '5%' },
    });
    expect(osconfig.kubelet.extra_systemd_args).toEqual([
      { name: '--config-dir', value: '/etc/kubernetes/kubelet.conf.d' },
    ]);
    const socket = 'unix:///run/containerd/containerd.sock';
    expect(parse(contentOf(osconfig, '/etc/crictl.yaml'))).toEqual({
      'runtime-endpoint': socket,
      'image-endpoint': socket,
    });
    expect(osconfig.kernel.modules.load.map(({ name }) => name)).toContain('overlay');
    expect(osconfig.sysctl).toContainEqual({ name: 'net.ipv4.ip_forward', value: '1' });
    expect(osconfig.systemd.map(({ name, enabled }) => [name, enabled])).toEqual([
      ['containerd.service', true],
      ['kubelet.service', true],
    ]);
  });

  test('the configuration of kubeadm stands alone where nothing lies over it', async () => {
    const { rootfs } = await resolve({ kubernetes: { version: '1.37' } });
    expect(rootfs.osconfig.kubelet.extra_systemd_args).toEqual([]);
  });

  test('an own source with an own key, which need no block of repositories', async () => {
    const { rootfs, sources } = await resolve({
      kubernetes: {
        version: '1.37',
        source: ['http://first.test/k8s', 'http://second.test/k8s'],
        keyring: '-----BEGIN PGP PUBLIC KEY BLOCK-----',
      },
    });
    const repository = rootfs.multistrap.repos.find(({ name }) => name === 'kubernetes');
    expect(repository).toMatchObject({ source: 'http://first.test/k8s', keyring: expect.anything() });
    expect(repository?.keyring_url).toBeUndefined();
    expect(sources.kubernetes).toEqual(['http://first.test/k8s', 'http://second.test/k8s']);
  });

  test('a variable file says the same, the object lies over it, and templates see the version', async () => {
    write('site/rootfs/kubernetes-vars.yaml', 'version: 1.36\nsandboxImage: registry.test/pause:2\n');
    const { rootfs } = await resolve({
      manifests: 'site',
      kubernetes: { version: '1.37.2' },
      rootfs: { osconfig: { banners: { motd: 'Kubernetes {{ k8s_version }}' } } },
    });
    expect(rootfs.multistrap.k8s_version).toBe('1.37.2');
    expect(rootfs.osconfig.banners.motd).toBe('Kubernetes 1.37.2');
    expect(contentOf(rootfs.osconfig, '/etc/containerd/config.toml')).toContain('registry.test/pause:2');
  });
});

test('its values may be templates, also those of one type only', async () => {
  write('templated/rootfs/multistrap-vars.yaml', 'release: 1.37.2\ndriver: cgroupfs\n');
  const { rootfs } = await resolve({
    manifests: 'templated',
    kubernetes: { version: '{{ release }}', cgroupDriver: '{{ driver }}' } as object,
    rootfs: { osconfig: { banners: { motd: '{{ k8s_version }}' } } },
  });
  expect(rootfs.multistrap.k8s_version).toBe('1.37.2');
  expect(rootfs.osconfig.banners.motd).toBe('1.37.2');
  expect(contentOf(rootfs.osconfig, '/etc/containerd/config.toml')).toContain('SystemdCgroup = false');
});

describe('what somebody writes wins', () => {
  test('a list that is replaced keeps what a node needs, and items of the same name are theirs', async () => {
    const { rootfs, qcows } = await resolve({
      kubernetes: { version: '1.37' },
      rootfs: {
        multistrap: {
          packages: ['vim', 'kubectl=1.37.1-1.1'],
          unapproved_packages: ['ethtool'],
          repos_append: [
            {
              name: 'kubernetes',
              source: 'https://own.test/k8s',
              suite: '/',
              keyring_url: 'https://own.test/key',
            },
          ],
        },
        osconfig: {
          sysctl: [{ name: 'net.ipv4.ip_forward', value: 0 }],
          files: [{ name: '/etc/crictl.yaml', file_content: 'timeout: 1\n' }],
          systemd: [
            { name: 'kubelet', override: '[Service]\nNice=5\n' },
            { name: 'containerd', enabled: false },
          ],
        },
      },
      qcows: { worker: { osconfig: { sysctl: [{ name: 'vm.swappiness', value: 1 }] } } },
    });
    const { packages, repos } = rootfs.multistrap;
    expect(packages.filter((name) => /^(kubectl|ethtool|kubelet)/.test(name))).toEqual([
      'kubectl=1.37.1-1.1',
      'kubelet=1.37.*',
    ]);
    expect(repos.filter(({ name }) => name === 'kubernetes')).toMatchObject([
      { source: 'https://own.test/k8s' },
    ]);
    expect(rootfs.osconfig.sysctl.filter(({ name }) => name === 'net.ipv4.ip_forward')).toEqual([
      { name: 'net.ipv4.ip_forward', value: '0' },
    ]);
    expect(contentOf(rootfs.osconfig, '/etc/crictl.yaml')).toBe('timeout: 1\n');
    expect(rootfs.osconfig.files.filter(({ name }) => name === '/etc/crictl.yaml')).toHaveLength(1);
    expect(rootfs.osconfig.systemd.map(({ name, enabled }) => [name, enabled])).toEqual([
      ['kubelet.service', true],
      ['kubelet.service', undefined],
      ['containerd.service', false],
    ]);
    const worker = qcows.worker?.osconfig.sysctl.map(({ name }) => name);
    expect(worker).toEqual(expect.arrayContaining(['net.ipv4.ip_forward', 'vm.swappiness']));
  });

  test('k8s_version is the version', async () => {
    const { rootfs, kubernetes } = await resolve({
      kubernetes: { version: '1.37' },
      rootfs: { multistrap: { k8s_version: '1.36.3-1.1' } },
    });
    expect(kubernetes?.version).toBe('1.36.3-1.1');
    expect(rootfs.multistrap.packages).toContain('kubeadm=1.36.3-1.1');
    expect(rootfs.multistrap.repos.find(({ name }) => name === 'kubernetes')?.source).toContain('v1.36');
  });

  test('a runtime of a repository that is named comes from there', async () => {
    const own = {
      name: 'own',
      source: 'https://own.test/r',
      suite: '/',
      keyring_url: 'https://own.test/key',
    };
    const { rootfs } = await resolve({
      kubernetes: { version: '1.37' },
      rootfs: { multistrap: { repos_append: [{ ...own, packages: ['containerd.io=2.1.5-1'] }] } },
    });
    expect(rootfs.multistrap.repos.map(({ name }) => name)).not.toContain('docker');
    expect(rootfs.multistrap.packages.filter((name) => name.startsWith('containerd'))).toEqual([]);
  });
});

describe('what cannot work is refused before anything is built', () => {
  const node = (version: string, rest: BuildSpec = {}): BuildSpec => ({ kubernetes: { version }, ...rest });
  const hierarchy = (value: string) => ({
    osconfig: {
      grub_cmdline_linux_default_append: [{ name: 'systemd.unified_cgroup_hierarchy', value }],
    },
  });
  const swap = {
    qcows: {
      node: {
        qcow: {
          partitions: [
            { mount: '/', part_start: '6MiB', part_end: '3GiB', filesystem: { type: 'ext4' as const } },
            { mount: 'swap', part_start: '3GiB', part_end: '4GiB', filesystem: { type: 'swap' as const } },
          ],
        },
      },
    },
  };

  test.each<[string, BuildSpec, string, RegExp]>([
    ['no version', { kubernetes: {} }, 'version', /is missing, expected for example 1\.37/],
    ['an old minor', node('1.31.2'), 'version', /is 1\.31\.2, expected 1\.32 or newer/],
    [
      'the source of another minor',
      { kubernetes: { version: '1.37.2', source: 'https://me:secret@mirror.test/core:/stable:/v1.36/deb' } },
      'source',
      /^is https:..mirror\.test\S+, the repository of 1\.36, expected that of 1\.37: the version is 1\.37\.2/,
    ],
    [
      'a key over http without a checksum',
      { kubernetes: { version: '1.37', source: 'http://mirror.test/k8s' } },
      'keyringChecksum',
      /is missing; over http/,
    ],
    [
      'two keys',
      { kubernetes: { version: '1.37', keyring: 'x', keyringURL: 'https://mirror.test/key' } },
      'source',
      /names more than one key/,
    ],
  ])('%s', async (_what, build, field, message) => {
    expect(await findingsOf(build)).toEqual([
      expect.objectContaining({
        field: `spec.build.kubernetes.${field}`,
        message: expect.stringMatching(message),
      }),
    ]);
  });

  test.each([
    ['1.36', ['containerd']],
    ['1.37', ['containerd=1.7.24~ds1-6']],
    ['1.37', ['containerd.io=1.7.28-1~debian.13~trixie']],
  ])('Kubernetes %s with %j', async (version, packages) => {
    const [finding, ...others] = await findingsOf(node(version, { rootfs: { multistrap: { packages } } }));
    expect(others).toEqual([]);
    expect(finding).toMatchObject({ field: 'spec.build.rootfs.multistrap.packages[0]' });
    expect(finding?.message).toMatch(
      /containerd 1\.7\S*, but Kubernetes from 1\.36 on .* needs containerd 2/,
    );
  });

  test.each([
    ['1.35', ['containerd']],
    ['1.37', ['containerd/trixie-backports']],
    ['1.37', ['containerd.io']],
    ['1.37', ['containerd=2.1.4-1']],
  ])('taken: Kubernetes %s with %j', async (version, packages) => {
    await expect(resolve(node(version, { rootfs: { multistrap: { packages } } }))).resolves.toBeDefined();
  });

  test('two container runtimes', async () => {
    const build = node('1.35', { rootfs: { multistrap: { packages: ['containerd', 'containerd.io'] } } });
    expect(await findingsOf(build)).toMatchObject([
      { message: expect.stringContaining('asks for containerd.io, and spec.build.rootfs') },
    ]);
  });

  test('cgroup v1 from 1.35 on, unless the kubelet is told to take it', async () => {
    expect(await findingsOf(node('1.35', { rootfs: hierarchy('0') }))).toMatchObject([
      {
        field: 'spec.build.rootfs.osconfig.grub.GRUB_CMDLINE_LINUX_DEFAULT',
        message: expect.stringContaining('cgroup v1, which the kubelet from 1.35 on (here 1.35) refuses'),
      },
    ]);
    expect(await findingsOf(node('1.37', { qcows: { old: hierarchy('no'), new: {} } }))).toMatchObject([
      { field: 'spec.build.qcows.old.osconfig.grub.GRUB_CMDLINE_LINUX_DEFAULT' },
    ]);
    const taken = { version: '1.37', kubeletConfiguration: { failCgroupV1: false } };
    await expect(resolve({ kubernetes: taken, rootfs: hierarchy('0') })).resolves.toBeDefined();
    await expect(resolve(node('1.34', { rootfs: hierarchy('0') }))).resolves.toBeDefined();
  });

  test('a distribution that starts with cgroup v1, unless the command line says otherwise', async () => {
    const focal = node('1.35', { distribution: 'ubuntu-20.04' });
    expect(await findingsOf(focal)).toHaveLength(1);
    await expect(resolve({ ...focal, rootfs: hierarchy('1') })).resolves.toBeDefined();
  });

  test('swap, unless the kubelet is told to take it', async () => {
    expect(await findingsOf(node('1.37', swap))).toMatchObject([
      { field: 'spec.build.qcows.node.qcow.partitions[1]' },
    ]);
    const kubernetes = { version: '1.37', kubeletConfiguration: { failSwapOn: false } };
    await expect(resolve({ kubernetes, ...swap })).resolves.toBeDefined();
  });

  test('a finding in a variable file names its line', async () => {
    write('wrong/rootfs/kubernetes-vars.yaml', '# comment\nversion: 1.20\n');
    expect(await findingsOf({ manifests: 'wrong' })).toMatchObject([
      { file: join(cwd, 'wrong/rootfs/kubernetes-vars.yaml'), line: 2 },
    ]);
  });
});

test('the end of life of the version is told, of the profile only without one', async () => {
  const { kubernetes } = await resolve({ kubernetes: { version: '1.35.3' } });
  const at = (day: string) =>
    endOfLifeWarning(
      { ...(kubernetes && { kubernetes }), profile: { name: 'old', endOfLife: '2020-01-01' } },
      new Date(day),
    );
  expect(at('2027-03-01')).toBe(
    'Kubernetes 1.35.3 reached its end of life on 2027-02-28: it no longer gets fixes',
  );
  expect(at('2027-02-28')).toContain('the profile old');
});

test('fields of crictl.yaml lie beside the endpoints, and a network is a file', async () => {
  const network = {
    ...{ cniVersion: '1.0.0', name: 'pods' },
    plugins: [{ type: 'bridge', ipam: { type: 'host-local', ranges: [[{ subnet: '10.1.0.0/24' }]] } }],
  };
  const { rootfs } = await resolve({
    kubernetes: { version: '1.37.2', crictl: { timeout: 30 }, cni: { '10-pods': network } },
  });
  expect(parse(contentOf(rootfs.osconfig, '/etc/crictl.yaml'))).toEqual({
    'runtime-endpoint': 'unix:///run/containerd/containerd.sock',
    'image-endpoint': 'unix:///run/containerd/containerd.sock',
    timeout: 30,
  });
  expect(JSON.parse(contentOf(rootfs.osconfig, '/etc/cni/net.d/10-pods.conflist'))).toEqual(network);
});

test.each([
  [{ crictl: { 'runtime-endpoint': 'unix:///x' } }, 'crictl'],
  [{ cni: { '../x': {} } }, 'cni'],
  [{ cni: { '10-pods': { cniVersion: '1.0.0', name: 'pods', plugins: [] } } }, 'cni.10-pods.plugins'],
  [{ cni: { '10-pods': { cniVersion: '1.0.0', name: 'pods', plugins: [{}] } } }, 'cni.10-pods.plugins[0]'],
])('%j is refused', async (kubernetes, field) => {
  const object = {
    ...{ apiVersion: 'airshipit.org/v1alpha1', kind: 'ImageBuilder', metadata: { name: 'node' } },
    spec: { build: { kubernetes } },
  };
  await expect(parseImageBuilder(object)).rejects.toThrow(`spec.build.kubernetes.${field}`);
});

test('documentation is left out, with the licences in, unless somebody says what is', async () => {
  const left = async (multistrap: object) => {
    const { rootfs } = await resolve({ kubernetes: { version: '1.37.2' }, rootfs: { multistrap } });
    return [rootfs.multistrap.path_exclude, rootfs.multistrap.path_include];
  };
  const include = ['/usr/share/doc/*/copyright', '/usr/share/locale/locale.alias'];
  expect(await left({})).toEqual([expect.arrayContaining(['/usr/share/man/*']), include]);
  expect(await left({ path_exclude: [] })).toEqual([[], include]);
});

test.each(['cri-o', 'cri-dockerd=0.4.0-1'])('%s beside containerd is refused', async (request) => {
  const findings = await findingsOf({
    kubernetes: { version: '1.37.2' },
    rootfs: { multistrap: { packages_append: ['jq', request] } },
  });
  expect(findings).toMatchObject([
    {
      field: 'spec.build.rootfs.multistrap.packages_append[1]',
      message: expect.stringMatching(/installs and configures containerd.*\nhint: leave it out/s),
    },
  ]);
});

describe('the container images that disks carry', () => {
  const images = (preload: string[], block: object = {}) =>
    resolve({ kubernetes: { version: '1.37.2', preload, ...block }, rootfs: small });
  const writeLock = (version: string) => {
    const kubeadm = { version, architecture: 'amd64', repository: 'r', path: 'p', size: 1 };
    const section = {
      ...{ distribution: 'debian-13', mirrors: { archive: 'http://mirror.example.org/debian' } },
      ...{ sourceDateEpoch: 1, requested: [], unapproved: [], keyrings: {} },
      packages: { kubeadm: { ...kubeadm, sha256: 'a'.repeat(64) } },
    };
    write('node.lock.yaml', JSON.stringify({ version: 1, architectures: { amd64: section } }));
  };

  test('default is what kubeadm of the release needs, and the sandbox image', async () => {
    const { preload } = await images(['default', 'docker.io/library/busybox:1'], {
      sandboxImage: 'registry.example.org/pause:1',
    });
    expect(preload && preloadReferences(preload)).toEqual([
      'docker.io/library/busybox:1',
      'registry.example.org/pause:1',
      'registry.k8s.io/coredns/coredns:v1.14.6',
      'registry.k8s.io/etcd:3.7.0-0',
      'registry.k8s.io/kube-apiserver:v1.37.2',
      'registry.k8s.io/kube-controller-manager:v1.37.2',
      'registry.k8s.io/kube-proxy:v1.37.2',
      'registry.k8s.io/kube-scheduler:v1.37.2',
      'registry.k8s.io/pause:3.10.2',
    ]);
  });

  test('default has the names that kubeadm gives the images of another repository', async () => {
    const imageRepository = 'registry.example.org/k8s';
    const { preload, rootfs } = await images(['default'], { imageRepository });
    // As `kubeadm config images list --image-repository registry.example.org/k8s` prints them.
    expect(preload && preloadReferences(preload)).toEqual([
      'registry.example.org/k8s/coredns:v1.14.6',
      'registry.example.org/k8s/etcd:3.7.0-0',
      'registry.example.org/k8s/kube-apiserver:v1.37.2',
      'registry.example.org/k8s/kube-controller-manager:v1.37.2',
      'registry.example.org/k8s/kube-proxy:v1.37.2',
      'registry.example.org/k8s/kube-scheduler:v1.37.2',
      'registry.example.org/k8s/pause:3.10.2',
    ]);
    const configuration = rootfs.osconfig.files.find(({ name }) => name === '/etc/containerd/config.toml');
    expect(configuration?.file_content).toContain('"registry.example.org/k8s/pause:3.10.2"');
    for (const wrong of [
      'registry.example.org/k8s/',
      'https://registry.example.org',
      'r.example.org/k8s:1',
      'r.example.org/a b',
    ])
      expect(await findingsOf({ kubernetes: { version: '1.37.2', imageRepository: wrong } })).toMatchObject([
        { field: 'spec.build.kubernetes.imageRepository' },
      ]);
  });

  test('of a minor version the release is that of the lock; without one default is refused', async () => {
    const build = { kubernetes: { version: '1.37', preload: ['default'] } };
    expect(await findingsOf(build)).toMatchObject([
      {
        field: 'spec.build.kubernetes.preload',
        message: expect.stringContaining('the version is 1.37, whichever'),
      },
    ]);
    writeLock('1.37.4-1.1');
    const { preload } = await resolve({ ...build, lock: 'node.lock.yaml' });
    expect(preload && preloadReferences(preload)).toContain('registry.k8s.io/kube-proxy:v1.37.4');
    // Before there is a lock, nobody knows.
    const open = await resolveBuild('node', { ...build, lock: 'absent.yaml' }, { cwd, lockIsOptional: true });
    expect(open.preload && preloadReferences(open.preload)).toEqual([]);
  });

  test('default of a version that is newer than this program is refused', async () => {
    expect(await findingsOf({ kubernetes: { version: '1.99.1', preload: ['default'] } })).toMatchObject([
      {
        field: 'spec.build.kubernetes.preload',
        message: expect.stringContaining('1.99.1 are not known'),
      },
    ]);
  });

  test.each(['pause:3', 'defaults', 'oci:/tmp/x', 'registry.k8s.io/pause@sha256:1', 'r.example.org/A'])(
    '%s is no image with its registry',
    async (reference) => {
      const object = {
        ...{ apiVersion: 'airshipit.org/v1alpha1', kind: 'ImageBuilder', metadata: { name: 'node' } },
        spec: { build: { kubernetes: { preload: [reference] } } },
      };
      await expect(parseImageBuilder(object)).rejects.toThrow(
        /spec\.build\.kubernetes\.preload\[0\].*default, or an image with its registry/,
      );
    },
  );

  test('a program imports them before the kubelet starts; without images there is none', async () => {
    const { rootfs } = await images(['registry.k8s.io/pause:3.10.2']);
    const unit = rootfs.osconfig.systemd.find(({ name }) => name === 'image-builder-preload.service');
    expect(unit).toMatchObject({
      enabled: true,
      file_content: expect.stringContaining('Before=kubelet.service'),
    });
    const program = rootfs.osconfig.files.find(({ name }) => name === '/usr/lib/image-builder/import-images');
    expect(program).toMatchObject({ permissions: '0755' });
    const none = await images([]);
    expect(none.preload).toBeUndefined();
    expect(none.rootfs.osconfig.systemd.map(({ name }) => name)).not.toContain(unit?.name);
  });
});

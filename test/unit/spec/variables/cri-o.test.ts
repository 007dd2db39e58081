// `runtime: cri-o` of spec.build.kubernetes: the packages, the files in the forms that CRI-O reads, and what is refused.
import { parse as parseToml } from 'smol-toml';
import { parse } from 'yaml';
import { InvalidInputError } from '../../../../image-builder/base/diagnostics/error.ts';
import type { BuildSpec } from '../../../../image-builder/spec/api/types.ts';
import { resolveBuild } from '../../../../image-builder/spec/variables/resolve.ts';
import type { ResolvedOsconfig } from '../../../../image-builder/spec/variables/resolved-osconfig.ts';

const resolve = (kubernetes: object, rest: BuildSpec = {}) =>
  resolveBuild(
    'node',
    { kubernetes: { version: '1.37.2', runtime: 'cri-o', ...kubernetes }, ...rest },
    { cwd: '/', aptDirectory: '/nonexistent' },
  );
const findingsOf = async (kubernetes: object, packages: string[]) => {
  const rootfs = { multistrap: { packages } };
  const error = await resolve(kubernetes, { rootfs }).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(InvalidInputError);
  return (error as InvalidInputError).findings();
};
const contentOf = ({ files }: ResolvedOsconfig, path: string) =>
  files.find(({ name }) => name === path)?.file_content ?? '';
const mirrors = {
  'registry.k8s.io': ['https://mirror.test/k8s/', 'http://127.0.0.1:5000'],
  'docker.io': ['https://mirror.test'],
};
const everything = { preload: ['default'], mirrors, sandboxImage: 'registry.test/pause:1' };

test('CRI-O of the same minor version from its makers, held, and no containerd', async () => {
  const { rootfs } = await resolve({});
  const { packages, repos } = rootfs.multistrap;
  expect(packages).toContain('cri-o=1.37.*');
  // Only what is to be carried needs it.
  expect(packages.filter((name) => /containerd|skopeo/.test(name))).toEqual([]);
  expect(repos.at(-1)).toMatchObject({
    name: 'cri-o',
    source: 'https://download.opensuse.org/repositories/isv:/cri-o:/stable:/v1.37/deb',
    suite: '/',
    keyring_url: 'https://download.opensuse.org/repositories/isv:/cri-o:/stable:/v1.37/deb/Release.key',
  });
  expect(repos.map(({ name }) => name)).not.toContain('docker');
  const hold = rootfs.osconfig.user_scripts.find(({ name }) => name === 'hold-kubernetes');
  expect(hold?.file_content).toMatch(/ kubelet .* cri-o /);
});

// Names of pkg/config/config.go of CRI-O, and of containers-registries.conf(5).
test('its configuration, and that of the registries', async () => {
  const { rootfs } = await resolve(everything);
  const read = (path: string) => parseToml(contentOf(rootfs.osconfig, path));
  expect(read('/etc/crio/crio.conf.d/50-image-builder.conf')).toEqual({
    crio: {
      runtime: { cgroup_manager: 'systemd' },
      image: { pause_image: 'registry.test/pause:1' },
    },
  });
  expect(read('/etc/containers/registries.conf.d/registry.k8s.io.conf')).toEqual({
    registry: [
      {
        location: 'registry.k8s.io',
        mirror: [{ location: 'mirror.test/k8s' }, { location: '127.0.0.1:5000', insecure: true }],
      },
    ],
  });
  expect(read('/etc/containers/registries.conf.d/docker.io.conf')).toEqual({
    registry: [{ location: 'docker.io', mirror: [{ location: 'mirror.test' }] }],
  });
});

test('control groups without systemd', async () => {
  const { rootfs } = await resolve({ cgroupDriver: 'cgroupfs' });
  const config = contentOf(rootfs.osconfig, '/etc/crio/crio.conf.d/50-image-builder.conf');
  expect(parseToml(config)).toMatchObject({
    // With any other, CRI-O does not start.
    crio: { runtime: { cgroup_manager: 'cgroupfs', conmon_cgroup: 'pod' } },
  });
  const kubelet = contentOf(rootfs.osconfig, '/etc/kubernetes/kubelet.conf.d/10-image-builder.conf');
  expect(parse(kubelet)).toMatchObject({ cgroupDriver: 'cgroupfs' });
});

test.each(['containerd', 'cri-o'])('every file of TOML can be read, with %s', async (runtime) => {
  const { rootfs } = await resolve({ ...everything, runtime });
  const written = rootfs.osconfig.files.filter(({ name }) =>
    /^\/etc\/(crio|containers|containerd)\//.test(name),
  );
  expect(written).toHaveLength(1 + Object.keys(mirrors).length);
  for (const { file_content } of written) expect(() => parseToml(file_content ?? '')).not.toThrow();
});

test('crictl, the kubelet and the import know its socket and its unit', async () => {
  const { osconfig } = (await resolve(everything)).rootfs;
  const socket = 'unix:///var/run/crio/crio.sock';
  expect(parse(contentOf(osconfig, '/etc/crictl.yaml'))).toEqual({
    'runtime-endpoint': socket,
    'image-endpoint': socket,
  });
  expect(osconfig.systemd).toMatchObject([
    { name: 'crio.service', enabled: true },
    { name: 'kubelet.service', override: '[Unit]\nWants=crio.service\nAfter=crio.service\n' },
    {
      name: 'image-builder-preload.service',
      file_content: expect.stringMatching(
        /Requires=crio\.service\nAfter=crio\.service\nBefore=kubelet\.service/,
      ),
    },
    // It would forget the sandbox image if its configuration were read again.
    { name: 'crio.service', override: '[Service]\nExecStartPre=-/usr/lib/image-builder/pin-images\n' },
  ]);
  expect(contentOf(osconfig, '/usr/lib/image-builder/import-images')).toContain('containers-storage:');
  expect(osconfig.files.find(({ name }) => name === '/usr/lib/image-builder/pin-images')).toMatchObject({
    permissions: '0755',
  });
});

test('skopeo gives it the images, and comes only with them', async () => {
  const { rootfs } = await resolve(everything);
  expect(rootfs.multistrap.packages).toContain('skopeo');
  const { osconfig } = (await resolve({})).rootfs;
  expect(osconfig.systemd.map(({ name }) => name)).toEqual(['crio.service', 'kubelet.service']);
});

test('a package of a repository that is named comes from there, in any form', async () => {
  const own = { name: 'own', source: 'https://own.test/r', suite: '/', keyring_url: 'https://own.test/key' };
  const repos_append = [{ ...own, packages: ['cri-o'] }];
  const { rootfs } = await resolve({}, { rootfs: { multistrap: { repos_append } } });
  expect(rootfs.multistrap.repos.map(({ name }) => name)).not.toContain('cri-o');
  expect(rootfs.multistrap.packages.filter((name) => name.startsWith('cri-o'))).toEqual([]);
});

test('a mirror under the name of its repository has the same package', async () => {
  const own = {
    name: 'cri-o',
    source: 'https://own.test/r',
    suite: '/',
    keyring_url: 'https://own.test/key',
  };
  const { rootfs } = await resolve({}, { rootfs: { multistrap: { repos_append: [own] } } });
  expect(rootfs.multistrap.repos.filter(({ name }) => name === 'cri-o')).toMatchObject([
    { source: own.source },
  ]);
  expect(rootfs.multistrap.packages).toContain('cri-o=1.37.*');
});

test.each(['cri-o=1.36.9-1.1', 'cri-o=1.38.*'])('%s with Kubernetes 1.37', async (request) => {
  expect(await findingsOf({}, ['dbus', request])).toMatchObject([
    {
      field: 'spec.build.rootfs.multistrap.packages[1]',
      message: expect.stringMatching(/needs CRI-O of the same minor version, 1\.37\nhint: cri-o=1\.37\.\*/),
    },
  ]);
});

test.each(['cri-o', 'cri-o=1.37.4-1.1', 'cri-o=1.37.*', 'cri-o=0:1.37.4-1.1'])(
  'taken: %s',
  async (request) => {
    const { rootfs } = await resolve({}, { rootfs: { multistrap: { packages: [request] } } });
    expect(rootfs.multistrap.packages.filter((name) => name.startsWith('cri-o'))).toEqual([request]);
  },
);

test.each([
  ['cri-o', 'containerd.io', 'configures cri-o', 'say kubernetes: {runtime: containerd}'],
  ['containerd', 'cri-o', 'configures containerd', 'say kubernetes: {runtime: cri-o}'],
  ['cri-o', 'cri-dockerd', 'configures cri-o', 'write the node without spec.build.kubernetes'],
])('%s with %s beside it is refused', async (runtime, name, configures, wayOut) => {
  const [finding, ...others] = await findingsOf({ runtime }, [name]);
  expect(others).toEqual([]);
  expect(finding?.field).toBe('spec.build.rootfs.multistrap.packages[0]');
  expect(finding?.message).toContain(configures);
  expect(finding?.message).toContain(wayOut);
});

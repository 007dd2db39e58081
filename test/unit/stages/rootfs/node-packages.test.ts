import { checkNodePackages } from '../../../../image-builder/stages/rootfs/node-packages.ts';

const check = (versions: Record<string, string>) =>
  checkNodePackages(
    Object.entries(versions).map(([name, version]) => ({ name, version })),
    { repositories: {}, keys: {}, packages: { containerd: 'spec.build.rootfs.multistrap.packages[3]' } },
  );

test.each<Record<string, string>>([
  { kubelet: '1.36.0-1.1', containerd: '1.7.24~ds1-6+b4' },
  { kubelet: '1.37.2-1.1', 'containerd.io': '1.7.28-1~debian.13~trixie' },
  { kubelet: '1.40.0-1.1', containerd: '1:1.7.24-1' },
])('refused, before anything is fetched: %j', (versions) => {
  expect(() => check(versions)).toThrow(
    expect.objectContaining({
      code: 'PACKAGES_INCOMPATIBLE',
      message: expect.stringContaining('containerd 2'),
    }),
  );
});

test('the field is the one that asks for the runtime', () => {
  expect(() => check({ kubelet: '1.36.0-1.1', containerd: '1.7.24' })).toThrow(
    expect.objectContaining({ field: 'spec.build.rootfs.multistrap.packages[3]' }),
  );
});

test.each<Record<string, string>>([
  { kubelet: '1.35.9-1.1', containerd: '1.7.24~ds1-6+b4' },
  { kubelet: '1.36.0-1.1', containerd: '2.1.4-1' },
  { kubelet: '1.37.2-1.1', 'containerd.io': '10.0.1-1' },
  { kubelet: '1.37.2-1.1', 'cri-o': '1.37.0-1.1' },
  { 'kubernetes-client': '1.32.3+ds-2', containerd: '1.7.24' },
])('taken: %j', (versions) => {
  expect(() => check(versions)).not.toThrow();
});

test('CRI-O of another minor version, only where spec.build.kubernetes installs it', () => {
  const packages = [
    { name: 'kubelet', version: '1.37.2-1.1' },
    { name: 'cri-o', version: '1.36.9-1.1' },
  ];
  const origins = {
    repositories: {},
    keys: {},
    packages: { 'cri-o': 'spec.build.rootfs.multistrap.repos[0]' },
  };
  expect(() => checkNodePackages(packages, origins)).not.toThrow();
  const ofBlock = { ...origins.packages, kubelet: 'spec.build.kubernetes.version' };
  expect(() => checkNodePackages(packages, { ...origins, packages: ofBlock })).toThrow(
    expect.objectContaining({
      code: 'PACKAGES_INCOMPATIBLE',
      field: 'spec.build.rootfs.multistrap.repos[0]',
      message: expect.stringContaining('kubelet 1.37.2-1.1 needs CRI-O of the same minor version, and'),
    }),
  );
});

test('containerd that something needs beside CRI-O', () => {
  const packages = [
    { name: 'kubelet', version: '1.37.2-1.1' },
    { name: 'cri-o', version: '1.37.4+ds-1' },
    { name: 'containerd.io', version: '2.1.5-1' },
  ];
  const origins = { repositories: {}, keys: {}, packages: {} };
  expect(() => checkNodePackages(packages, origins)).not.toThrow();
  const ofBlock = { ...origins, packages: { kubelet: 'spec.build.kubernetes.version' } };
  expect(() => checkNodePackages(packages.slice(0, 2), ofBlock)).not.toThrow();
  expect(() => checkNodePackages(packages, ofBlock)).toThrow(
    expect.objectContaining({
      code: 'PACKAGES_INCOMPATIBLE',
      field: 'spec.build.kubernetes.runtime',
      message: expect.stringContaining(
        'two runtimes, and something beside cri-o needs containerd.io 2.1.5-1',
      ),
    }),
  );
});

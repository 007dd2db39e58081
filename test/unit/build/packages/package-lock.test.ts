import { checkLock } from '../../../../image-builder/build/packages/check-lock.ts';
import { driftOf, lockOf } from '../../../../image-builder/build/packages/package-lock.ts';
import { resolveBuild } from '../../../../image-builder/spec/variables/resolve.ts';
import type { ResolvedBuild } from '../../../../image-builder/spec/variables/resolved.ts';
import type { PackageResolution } from '../../../../image-builder/stages/rootfs/resolution.ts';

const resolution: PackageResolution = {
  packages: ['bash', 'vim'].map((name) => ({
    name,
    version: '1',
    architecture: 'amd64',
    repository: 'trixie',
    path: `pool/${name}.deb`,
    size: 1,
    sha256: 'a'.repeat(64),
  })),
  keyrings: {},
  sourceDateEpoch: 10,
};
let resolved: ResolvedBuild;
beforeAll(async () => {
  const spec = { rootfs: { multistrap: { packages: ['vim'] } } };
  resolved = await resolveBuild('node', spec, { cwd: '/', aptDirectory: '/nonexistent' });
});

const [bash, vim] = resolution.packages as [
  PackageResolution['packages'][0],
  PackageResolution['packages'][0],
];

test('nothing has changed: also when the repositories were published again', () => {
  const before = lockOf(resolved, resolution);
  expect(driftOf(before, lockOf(resolved, { ...resolution, sourceDateEpoch: 20 }))).toEqual([]);
});

test('drift names each package once, with what it was and what it is', () => {
  const before = lockOf(resolved, resolution);
  const packages = [
    { ...vim, version: '2' },
    { ...bash, name: 'htop' },
  ];
  expect(driftOf(before, lockOf(resolved, { ...resolution, packages })).map(({ path }) => path)).toEqual([
    'packages[name=bash]',
    'packages[name=vim].version',
    'packages[name=htop]',
  ]);
});

describe('checkLock', () => {
  const messageFor = (change: (build: ResolvedBuild) => void): string => {
    const build = structuredClone({ ...resolved, lock: lockOf(resolved, resolution) });
    change(build);
    try {
      checkLock(build);
      return 'fits';
    } catch (error) {
      return (error as Error).message;
    }
  };

  test('a lock that fits', () => {
    expect(messageFor(() => {})).toBe('fits');
    expect(messageFor((build) => build.rootfs.multistrap.packages.reverse())).toBe('fits');
  });

  test.each<[string, (build: ResolvedBuild) => void, RegExp]>([
    [
      'a new package',
      (build) => build.rootfs.multistrap.packages.push('htop'),
      /a different set of packages: \+htop; run "image-builder lock" again/,
    ],
    [
      'another distribution',
      (build) => {
        build.distribution.name = 'debian-12';
      },
      /made for debian-13, not for debian-12/,
    ],
    [
      'a package that is allowed now',
      (build) => build.rootfs.multistrap.unapproved_packages.pop(),
      /unapproved packages: -systemd-timesyncd/,
    ],
    [
      'other container images',
      (build) => {
        Object.assign(build, { preload: { requested: ['registry.k8s.io/pause:3.10.2'], mirrors: {} } });
      },
      /a different set of container images: \+registry\.k8s\.io\/pause:3\.10\.2; run/,
    ],
    [
      'a repository that is gone',
      (build) => build.rootfs.multistrap.repos.shift(),
      /repositories that are gone: trixie/,
    ],
  ])('%s', (_, change, message) => expect(messageFor(change)).toMatch(message));
});

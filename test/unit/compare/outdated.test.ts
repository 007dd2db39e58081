// What is newer than a lock, by what it is to a node, and what of it counts.
import { isOutdated, outdated } from '../../../image-builder/compare/outdated.ts';
import { renderOutdated } from '../../../image-builder/compare/outdated-text.ts';
import { resolveBuild } from '../../../image-builder/spec/variables/resolve.ts';
import type { ResolvedBuild } from '../../../image-builder/spec/variables/resolved.ts';
import type { LockedPackage, ResolvedLock } from '../../../image-builder/spec/variables/resolved-lock.ts';

const packageOf = (name: string, version: string, repository = 'trixie'): LockedPackage => ({
  ...{ name, version, architecture: 'amd64', repository, path: 'p', size: 1 },
  sha256: 'a'.repeat(64),
});
const digest = (digit: string) => `sha256:${digit.repeat(64)}`;
const pause = 'registry.k8s.io/pause:3.10.2';
const before = [
  packageOf('kubelet', '1.37.2-1.1', 'kubernetes'),
  packageOf('containerd.io', '2.1.5-1', 'docker'),
  packageOf('linux-image-6.12.1-amd64', '6.12.1-1'),
  packageOf('linux-image-amd64', '6.12.1-1'),
  packageOf('openssl', '3.5.1-1'),
  packageOf('vim', '2:9.1-1'),
];
const after = [
  packageOf('kubelet', '1.37.10-1.1', 'kubernetes'),
  packageOf('containerd.io', '2.1.6-1', 'docker'),
  packageOf('linux-image-6.12.2-amd64', '6.12.2-1', 'trixie-security'),
  packageOf('linux-image-amd64', '6.12.2-1', 'trixie-security'),
  packageOf('openssl', '3.5.1-1+deb13u1', 'trixie-security'),
  packageOf('vim', '2:9.1-1'),
];
const releases = [
  { minor: '1.37', version: '1.37.10-1.1', endOfLife: '2027-10-28' },
  { minor: '1.38', version: '1.38.0-1.1' },
];
let resolved: ResolvedBuild;
let lock: ResolvedLock;

beforeAll(async () => {
  resolved = await resolveBuild(
    'node',
    { kubernetes: { version: '1.37' } },
    { cwd: '/', aptDirectory: '/nonexistent' },
  );
  lock = { packages: before, images: { [pause]: digest('1') } } as unknown as ResolvedLock;
});

const report = (changes: object = {}, withLock: ResolvedLock | undefined = lock) =>
  outdated(resolved, withLock, {
    ...{ packages: after, images: [{ reference: pause, digest: digest('2') }], releases },
    now: new Date('2026-11-27'),
    ...changes,
  });

test('each package that a new lock would hold in another version, by its role', () => {
  expect(
    report().packages.map(({ name, role, security }) => `${name} ${role}${security ? ' security' : ''}`),
  ).toEqual([
    'containerd.io runtime',
    'kubelet kubernetes',
    'linux-image-6.12.1-amd64 kernel',
    'linux-image-6.12.2-amd64 kernel security',
    'linux-image-amd64 kernel security',
    'openssl other security',
  ]);
  expect(report().images).toEqual([{ reference: pause, before: digest('1'), after: digest('2') }]);
});

test('CRI-O is a runtime, too', () => {
  const crio = (version: string) => [packageOf('cri-o', version, 'cri-o')];
  const { packages } = report({ packages: crio('1.37.5-1.1') }, { ...lock, packages: crio('1.37.4-1.1') });
  expect(packages).toMatchObject([{ name: 'cri-o', role: 'runtime' }]);
});

test('the newest release of the minor version, and those of later ones', () => {
  expect(report().kubernetes).toEqual({
    version: '1.37.2-1.1',
    endOfLife: '2027-10-28',
    isPastEndOfLife: false,
    newest: '1.37.10-1.1',
    later: [releases[1]],
  });
  expect(report({ now: new Date('2027-10-29') }).kubernetes).toMatchObject({ isPastEndOfLife: true });
});

test('a later minor version, or an older release in the repository, is nothing to act on', () => {
  const same = { packages: before, images: [{ reference: pause, digest: digest('1') }] };
  const older = [{ ...releases[0], version: '1.37.1-1.1' }, releases[1]];
  expect(isOutdated(report({ ...same, releases: older }))).toBe(false);
  expect(renderOutdated(report({ ...same, releases: older }))).toContain('Nothing is newer.');
  expect(isOutdated(report(same))).toBe(true);
  expect(isOutdated(report({ ...same, releases: older, now: new Date('2028-01-01') }))).toBe(true);
});

test('without a lock only the version in the spec holds anything back', () => {
  const free = outdated(resolved, undefined, { packages: before, releases, now: new Date('2026-11-27') });
  expect(free).toMatchObject({
    locked: false,
    packages: [],
    images: [],
    kubernetes: { newest: '1.37.10-1.1' },
  });
  expect(renderOutdated(free)).toContain('There is no lock');
});

test('text names what matters first', () => {
  expect(renderOutdated(report()).split('\n').slice(0, 5)).toEqual([
    'kubernetes: 1.37.2-1.1 → 1.37.10-1.1, end of life 2027-10-28',
    'kubernetes 1.38: 1.38.0-1.1',
    'runtime: ~ containerd.io 2.1.5-1 → 2.1.6-1',
    'kernel: - linux-image-6.12.1-amd64 6.12.1-1',
    'kernel: + linux-image-6.12.2-amd64 6.12.2-1',
  ]);
});

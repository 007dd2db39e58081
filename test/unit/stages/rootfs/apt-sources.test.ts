import { CancelledError } from '../../../../image-builder/base/diagnostics/cancelled.ts';
import { ToolError } from '../../../../image-builder/sandbox/tool-error.ts';
import { resolveBuild } from '../../../../image-builder/spec/variables/resolve.ts';
import type { ResolvedRepository } from '../../../../image-builder/spec/variables/resolved-multistrap.ts';
import {
  explainFetchError,
  isDiskFull,
  mayHeal,
} from '../../../../image-builder/stages/rootfs/apt-errors.ts';
import {
  renderLinkFile,
  renderPins,
  renderSource,
  requestedOfBase,
  requestedPackages,
} from '../../../../image-builder/stages/rootfs/apt-sources.ts';
import { RootfsError } from '../../../../image-builder/stages/rootfs/rootfs-error.ts';

const repository: ResolvedRepository = {
  name: 'r',
  source: 'http://r.test/debian',
  suite: 'stable',
  components: ['main', 'contrib'],
  packages: [],
  omitdebsrc: true,
  register_repo_with_rootfs: true,
};

describe('renderSource', () => {
  test('a suite, with sources when they are wanted', () => {
    expect(renderSource({ ...repository, omitdebsrc: false }, 'amd64', '/keys/r.asc')).toBe(
      'Types: deb deb-src\nURIs: http://r.test/debian\nSuites: stable\nComponents: main contrib\n' +
        'Architectures: amd64\nSigned-By: /keys/r.asc\n',
    );
  });

  test('a flat repository has no components', () => {
    expect(renderSource({ ...repository, suite: '/', components: [] }, 'amd64', '/k')).not.toContain(
      'Components',
    );
  });
});

describe('renderPins', () => {
  test('forbids every version; nothing to forbid, no file', () => {
    expect(renderPins(['a', 'b'])).toMatch(/^Package: a b\nPin: version \*\nPin-Priority: -1$/m);
    expect(renderPins([])).toBe('');
  });
});

describe('requestedOfBase', () => {
  const multistrap = { kernel_base_pkg: 'linux-image', kernel_headers_pkg: '' };
  const distribution = { boot_packages: ['systemd'], default_packages: ['curl', 'dbus', 'file', 'gawk'] };
  const of = (...requested: string[]) => requestedOfBase(requested, multistrap, distribution);

  test('the kernel and what every image needs, with a version, too; nobody else', () => {
    expect(of('htop', 'linux-image=6.12', 'systemd')).toEqual(['linux-image=6.12', 'systemd']);
  });

  test('what is requested of the default list, when that is at least half of it', () => {
    expect(of('curl', 'dbus', 'htop', 'systemd')).toEqual(['curl', 'dbus', 'systemd']);
    expect(of('curl', 'htop', 'systemd')).toEqual(['systemd']);
  });
});

describe('requestedPackages', () => {
  test('kernel, boot packages, packages and those of the repositories, each once; a version wins over a bare name', async () => {
    const { rootfs } = await resolveBuild(
      'node',
      {
        rootfs: {
          multistrap: {
            packages: ['vim', 'kubelet', 'containerd'],
            repos_append: [
              {
                name: 'k',
                source: 'http://k.test',
                suite: '/',
                keyring: 'x',
                packages: ['kubelet=1.34.2-1.1'],
              },
            ],
          },
        },
      },
      { cwd: '/', aptDirectory: '/nonexistent' },
    );
    expect(requestedPackages(rootfs.multistrap, ['zstd', 'vim'])).toEqual([
      'containerd',
      'kubelet=1.34.2-1.1',
      'linux-image-amd64',
      'vim',
      'zstd',
    ]);
  });
});

test('renderLinkFile leaves out a policy that is empty', () => {
  const text = renderLinkFile({
    systemd_nic_names_policy: 'kernel',
    systemd_nic_alternative_names_policy: '',
  });
  expect(text).toContain('NamePolicy=kernel\n');
  expect(text).not.toContain('AlternativeNamesPolicy');
});

describe('explainFetchError', () => {
  const failure = (...output: string[]) => new ToolError('TOOL_FAILED', 'apt-get failed', { output });
  const mirror = 'http://mirror.test/debian';
  const repositories = [
    { ...repository, source: mirror, suite: 'trixie' },
    { ...repository, name: 'other' },
    { ...repository, name: 'same-host', source: mirror, suite: 'trixie-own' },
  ];
  const field = 'spec.build.rootfs.multistrap.repos_append';
  const origins = {
    repositories: { other: `${field}[1]`, 'same-host': `${field}[0]` },
    keys: { other: `${field}[1].keyring`, 'same-host': `${field}[0].keyring_url` },
    packages: {},
  };
  const explain = (...output: string[]) =>
    explainFetchError(failure(...output), repositories, mirror, origins) as RootfsError;

  test('the mirror is a field of its own', () => {
    const error = explain(
      'E: Failed to fetch http://mirror.test/debian/dists/trixie/InRelease  Could not connect',
    );
    expect(error).toMatchObject({ code: 'REPOSITORY_UNREACHABLE', field: 'spec.build.mirror' });
    expect(error.findings()[0]?.message).toMatch(
      /^the repository http:\/\/mirror\.test\/debian trixie cannot be/,
    );
  });

  test('any other repository is named', () => {
    expect(explain("E: The repository 'http://r.test/debian stable InRelease' is not signed.")).toMatchObject(
      {
        code: 'REPOSITORY_UNTRUSTED',
        field: 'spec.build.rootfs.multistrap.repos_append[1].keyring',
      },
    );
  });

  test('of several on one mirror the one with the suite is named', () => {
    const unsigned = `E: The repository '${mirror} trixie-own InRelease' is not signed.`;
    expect(explain(unsigned)).toMatchObject({
      code: 'REPOSITORY_UNTRUSTED',
      field: `${field}[0].keyring_url`,
    });
    expect(explain(unsigned.replace('-own', ''))).toMatchObject({ field: 'spec.build.mirror' });
  });

  test.each([
    [
      "E: You don't have enough free space in /x/apt/cache/archives/.",
      'DISK_FULL',
      /does not fit on the disk/,
      false,
    ],
    ['E: Write error - write (28: No space left on device)', 'DISK_FULL', /does not fit on the disk/, false],
    [
      `E: Release file for ${mirror}/dists/trixie/InRelease is expired (invalid since 1061d). Updates are not applied.`,
      'REPOSITORY_OUTDATED',
      /has expired/,
      false,
    ],
    [
      `E: Release file for ${mirror}/dists/trixie/InRelease is not valid yet (invalid for another 3h).`,
      'REPOSITORY_OUTDATED',
      /from the future/,
      false,
    ],
    [
      `E: Failed to fetch ${mirror}/dists/trixie/InRelease  No Hash entry in Release file x which is considered strong enough for security purposes`,
      'REPOSITORY_UNTRUSTED',
      /too weak/,
      false,
    ],
    [
      `E: Failed to fetch ${mirror}/x.deb  Connection timed out`,
      'REPOSITORY_UNREACHABLE',
      /cannot be fetched/,
      true,
    ],
  ])('%s', (line, code, message, heals) => {
    expect(explain(line)).toMatchObject({ code, message: expect.stringMatching(message) });
    expect(mayHeal(failure(line))).toBe(heals);
    expect(isDiskFull(failure(line))).toBe(code === 'DISK_FULL');
  });

  test('what is not a failure of apt stays what it is', () => {
    const aborted = new CancelledError('CANCELLED', 'stopped');
    expect(explainFetchError(aborted, repositories, mirror, origins)).toBe(aborted);
    expect(aborted).not.toBeInstanceOf(RootfsError);
  });
});

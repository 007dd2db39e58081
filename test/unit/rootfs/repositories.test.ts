import { ToolError } from '../../../image-builder/executors/tool-error.ts';
import { explainFetchError } from '../../../image-builder/rootfs/apt-errors.ts';
import { RootfsError } from '../../../image-builder/rootfs/error.ts';
import {
  renderLinkFile,
  renderPins,
  renderSource,
  requestedPackages,
} from '../../../image-builder/rootfs/repositories.ts';
import { resolveBuild } from '../../../image-builder/variables/resolve.ts';
import type { ResolvedRepository } from '../../../image-builder/variables/types.ts';

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
  ];
  const explain = (...output: string[]) =>
    explainFetchError(failure(...output), repositories, mirror) as RootfsError;

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
        field: 'spec.build.rootfs.multistrap.repos[name=other]',
      },
    );
  });

  test('what is not a failure of apt stays what it is', () => {
    const aborted = new ToolError('ABORTED', 'stopped');
    expect(explainFetchError(aborted, repositories, mirror)).toBe(aborted);
    expect(aborted).not.toBeInstanceOf(RootfsError);
  });
});

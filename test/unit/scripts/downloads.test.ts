// Nothing that the scripts fetch is taken on the word of a server: hashes are in the repository, or the repository that
// it comes from is signed.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const root = join(__dirname, '../../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const scripts = readdirSync(join(root, 'scripts'), { recursive: true, encoding: 'utf8' })
  .filter((path) => /\.(sh|mjs|ts)$/.test(path))
  .map((path) => `scripts/${path}`);

/** Commands, with the lines that a backslash joins, without comments. */
const commands = [...scripts, 'Dockerfile', 'Makefile', '.ci/run'].flatMap((file) =>
  read(file)
    .replaceAll('\\\n', ' ')
    .split('\n')
    .filter((line) => !/^\s*(#|\/\/|\*|\/\*)/.test(line))
    .map((line) => ({ file, line })),
);

const INTEGRITY = /^sha512-[A-Za-z0-9+/]{86}==$/;

test('every npm package of the lock file has an integrity', () => {
  const { packages } = JSON.parse(read('package-lock.json')) as {
    packages: Record<string, { integrity?: string }>;
  };
  const without = Object.entries(packages).filter(
    ([path, { integrity }]) => path !== '' && !INTEGRITY.test(integrity ?? ''),
  );
  expect(without).toEqual([]);
});

test('every program in an npm package has one version and an integrity', () => {
  const pins = read('scripts/npm-programs.txt')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  for (const pin of pins) {
    const [name, integrity, ...rest] = pin.split(' ');
    expect([name, rest]).toEqual([expect.stringMatching(/^\S+@\d+\.\d+\.\d+(-[\w.]+)?$/), []]);
    expect(integrity).toMatch(INTEGRITY);
  }
  expect(pins.length).toBeGreaterThan(0);
});

test('every Python package is one of some hashes', () => {
  const lines = read('test/e2e/support/sbom-readers.txt').replaceAll('\\\n', ' ').split('\n');
  const packages = lines.filter((line) => /^[a-z]/.test(line));
  expect(packages.length).toBeGreaterThan(2);
  for (const line of packages) expect(line).toMatch(/^[a-z0-9-]+==\S+ +(--hash=sha256:[0-9a-f]{64}\s*)+$/);
});

test('every module of Go has its checksums', () => {
  const tracked = execFileSync('git', ['ls-files', '*go.mod'], { cwd: root, encoding: 'utf8' });
  const modules = tracked.split('\n').filter((path) => path !== '');
  expect(modules.length).toBeGreaterThan(3);
  expect(modules.filter((path) => !existsSync(join(root, dirname(path), 'go.sum')))).toEqual([]);
});

// Each way in which a script can fetch something, and what has to stand in the same command.
test.each([
  ['npm', /\bnpm (pack|install|i|exec|add|update)\b|\bnpx (?!--no-install)/, /^npm pack .*"\$package"/],
  ['pip', /\bpip3? (install|download)\b/, /--require-hashes/],
  ['Go', /\bgo (-C \S+ )?(install|get|run|build|mod)\b/, /\bbuild\b(?!.*@v)/],
  ['a server', /\b(curl|wget) |\bgit (clone|fetch)\b|\bawait fetch\(|(docker|podman|DOCKER"?) pull\b/, /^$/],
])('what %s fetches is verified', (_, fetching, verified) => {
  const unverified = commands.filter(({ line }) => fetching.test(line) && !verified.test(line.trim()));
  expect(unverified).toEqual([]);
});

test('no check is turned off', () => {
  const off =
    /trusted=yes|allow-?unauthenticated|AllowInsecure|AllowWeak|Verify-(Peer|Host)|no-check-certificate|GONOSUM|GOINSECURE|GOSUMDB|-mod=mod|strict-ssl|trusted-host|NODE_TLS_REJECT/i;
  expect(commands.filter(({ line }) => off.test(line))).toEqual([]);
});

test('the bases of images are arguments', () => {
  const stages = [...read('Dockerfile').matchAll(/^FROM (\S+)(?: AS (\S+))?$/gm)];
  const names = stages.map(([, , name]) => name);
  for (const [, base = ''] of stages) if (!names.includes(base)) expect(base).toMatch(/^\$\{[A-Z]+_BASE\}$/);
});

describe('with npm in another place', () => {
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'downloads-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  /** The script with a list of its own, and an npm that delivers an archive with this program. */
  function fetchProgram(delivered: string, expected: string) {
    const archive = (content: string) => {
      mkdirSync(join(directory, 'package'), { recursive: true });
      writeFileSync(join(directory, 'package/tool'), content);
      const options = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '-cz', 'package'];
      return execFileSync('tar', options, { cwd: directory });
    };
    const integrity = createHash('sha512').update(archive(expected)).digest('base64');
    writeFileSync(join(directory, 'archive'), archive(delivered));
    mkdirSync(join(directory, 'bin'), { recursive: true });
    writeFileSync(join(directory, 'bin/npm'), `#!/bin/sh\ncp ${directory}/archive "$4/tool-1.2.3.tgz"\n`);
    chmodSync(join(directory, 'bin/npm'), 0o755);
    writeFileSync(join(directory, 'npm-programs.txt'), `tool@1.2.3 sha512-${integrity}\n`);
    writeFileSync(join(directory, 'npm-program.sh'), read('scripts/npm-program.sh'));
    const target = join(directory, 'target');
    const { status, stderr } = spawnSync(
      'bash',
      [join(directory, 'npm-program.sh'), 'tool@1', 'tool', target],
      {
        encoding: 'utf8',
        env: { ...process.env, PATH: `${directory}/bin:${process.env.PATH}` },
      },
    );
    return { status, stderr, content: existsSync(target) ? readFileSync(target, 'utf8') : undefined };
  }

  test('a program is taken when its archive is the expected one', () => {
    expect(fetchProgram('good', 'good')).toMatchObject({ status: 0, content: 'good' });
  });

  test('another archive is refused, and what was there stays', () => {
    expect(fetchProgram('evil', 'good')).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/tool@1\.2\.3 is sha512-\S+, expected sha512-/),
      content: undefined,
    });
    fetchProgram('good', 'good');
    writeFileSync(join(directory, 'target.origin'), 'an earlier one');
    expect(fetchProgram('evil', 'better')).toMatchObject({ status: 1, content: 'good' });
  });
});

describe('bases of images', () => {
  const warnings = (options: string) =>
    spawnSync('bash', [join(root, 'scripts/unpinned-bases.sh'), options, 'NODE_BASE', 'BUILDER_BASE'], {
      encoding: 'utf8',
    }).stderr;
  const digest = `sha256:${'0'.repeat(64)}`;

  test('one that is named by a tag is told, with the argument that names its content', () => {
    expect(
      warnings(`--build-arg NODE_BASE=site/node@${digest} --build-arg BUILDER_BASE=site/debian:13`),
    ).toBe(
      'warning: the base site/debian:13 is named by a tag; --build-arg BUILDER_BASE=site/debian:13@sha256:... names its content\n',
    );
    expect(warnings('')).toContain('docker.io/library/debian:trixie-slim@sha256:');
  });

  test('by digest in either spelling nothing is said', () => {
    expect(
      warnings(
        `--pull --build-arg=NODE_BASE=site/node@${digest} --build-arg BUILDER_BASE=debian:13@${digest}`,
      ),
    ).toBe('');
  });
});

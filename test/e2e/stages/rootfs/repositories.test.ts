// What is wrong with a repository or a package is told with its field, and nothing of it gets in. Without Debian: the
// repositories are the tests' own, so that each case takes a second.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BuildSpec } from '../../../../image-builder/spec/api/types.ts';
import { resolveBuild } from '../../../../image-builder/spec/variables/resolve.ts';
import { buildRootfs } from '../../../../image-builder/stages/rootfs/build-rootfs.ts';
import { RootfsError } from '../../../../image-builder/stages/rootfs/rootfs-error.ts';
import {
  AptSite,
  buildPackages,
  forgetKey,
  makeKey,
  publishFlat,
  publishSuite,
} from '../../support/apt-repository.ts';
import { type Observed, stageContext } from '../../support/stage.ts';

const site = new AptSite('repositories');
const { directory, www, server, key } = site;
const otherKey = makeKey(directory, 'other');
let url: string;

const hello = {
  name: 'hello-test',
  version: '1.0',
  files: { '/usr/share/hello-test/greeting': 'hello\n' },
};
// Every image has apt; the essential packages of a distribution are what these repositories lack.
const apt = { name: 'apt', version: '1.0' };

beforeAll(async () => {
  for (const name of ['flat', 'tampered', 'swapped', 'half', 'lists-only']) site.publish(name, [hello, apt]);
  for (const name of ['unsigned', 'stranger']) buildPackages(join(www, name), [hello, apt]);
  publishFlat(join(www, 'unsigned'));
  publishFlat(join(www, 'stranger'), otherKey);
  writeFileSync(join(www, 'tampered/Packages'), 'Package: evil\n', { flag: 'a' });
  buildPackages(join(www, 'suites/pool'), [
    hello,
    apt,
    { name: 'needy', version: '1', control: ['Depends: not-there (>= 2)'] },
  ]);
  publishSuite(join(www, 'suites'), 'stable', key);
  const evil = { ...hello, files: { '/usr/share/hello-test/greeting': 'evil!\n' } };
  buildPackages(join(www, 'swapped'), [evil]);
  server.dying.add('/half/hello-test');
  rmSync(join(www, 'lists-only/hello-test_1.0_all.deb'));
  url = await server.start();
});

afterAll(async () => {
  await site.stop();
  forgetKey(otherKey);
  rmSync(directory, { recursive: true });
});

type Multistrap = NonNullable<NonNullable<BuildSpec['rootfs']>['multistrap']>;
let runs = 0;

/** Runs the stage with one repository only; it cannot succeed, since there are no essential packages. */
async function failureOf(
  repository: Partial<NonNullable<Multistrap['repos']>[number]>,
  multistrap: Multistrap = {},
  observed: Observed = { steps: [], lines: [] },
): Promise<RootfsError> {
  const spec: BuildSpec = {
    rootfs: {
      multistrap: {
        packages: ['hello-test'],
        kernel_base_pkg: 'hello-test',
        multistrap_retries: 0,
        repos: [{ name: 'own', source: `${url}/flat`, suite: '/', keyring: key.armoured, ...repository }],
        ...multistrap,
      },
    },
  };
  const resolved = await resolveBuild('test', spec, { cwd: directory });
  const distribution = { ...resolved.distribution, boot_packages: [] };
  const context = await stageContext(directory, `run-${runs++}`, { observed });
  const { mirror, sources, origins } = resolved;
  const inputs = { distribution, mirror, sources, origins, multistrap: resolved.rootfs.multistrap };
  const error = await buildRootfs(inputs, context).then(
    () => undefined,
    (caught: unknown) => caught,
  );
  if (!(error instanceof RootfsError)) throw error;
  expect(readdirSync(context.outputDir)).toEqual([]);
  return error;
}

const base = 'spec.build.rootfs.multistrap';

test('a good repository is no failure by itself: only the rest of a distribution is missing', async () => {
  for (const repository of [{}, { source: `${url}/suites`, suite: 'stable', components: 'main' }]) {
    const error = await failureOf(repository);
    expect(error).toMatchObject({ code: 'INSTALLATION_FAILED' });
  }
});

test.each([
  ['not signed', 'unsigned'],
  ['signed by another key', 'stranger'],
])('a repository that is %s never gets in', async (_, name) => {
  const error = await failureOf({ source: `${url}/${name}` });
  expect(error).toMatchObject({ code: 'REPOSITORY_UNTRUSTED', field: `${base}.repos[0].keyring` });
  expect(error.findings()[0]).toMatchObject({ field: `${base}.repos[0].keyring`, severity: 'error' });
  expect(error.message).toContain(`${url}/${name}`);
});

test('a package list that does not fit its signature never gets in', async () => {
  const error = await failureOf({ source: `${url}/tampered` });
  expect(error.code).toMatch(/^REPOSITORY_/);
  expect(error.output?.join('\n')).toMatch(/Hash Sum mismatch|unexpected size/);
});

test('a mirror that nobody listens on is named, with what apt said of it', async () => {
  const error = await failureOf({ source: 'http://127.0.0.1:1/debian' });
  expect(error).toMatchObject({ code: 'REPOSITORY_UNREACHABLE', field: `${base}.repos[0]` });
  expect(error.output?.join('\n')).toMatch(/127\.0\.0\.1/);
});

test('a suite that does not exist is named', async () => {
  const error = await failureOf({ source: `${url}/suites`, suite: 'unstable', components: 'main' });
  expect(error.code).toMatch(/^REPOSITORY_/);
  expect(error.message).toContain('unstable');
});

test.each([
  ['packages', { packages: ['apt', 'no-such-package'] }, `${base}.packages[1]`],
  ['a version', { packages_append: ['hello-test=9'] }, `${base}.packages_append[0]`],
  ['the kernel', { kernel_base_pkg: 'no-such-package' }, `${base}.kernel_base_pkg`],
])('what does not exist is named: %s', async (_, multistrap, field) => {
  const error = await failureOf({}, multistrap);
  expect(error).toMatchObject({ code: 'PACKAGE_UNAVAILABLE', field });
  expect(error.message).toMatch(/no-such-package|hello-test/);
});

test('a name that somebody has misspelt is put right', async () => {
  const error = await failureOf({}, { packages: ['hello-tset'] });
  expect(error).toMatchObject({
    code: 'PACKAGE_UNAVAILABLE',
    hint: expect.stringMatching(/^did you mean hello-test\?/),
  });
});

test('each of several is named, with its field and what apt says of it', async () => {
  const packages = ['hello-tset', 'hello-test:i386', 'gone=1'];
  const error = await failureOf({}, { packages, packages_append: ['hello-test'] });
  const findings = error.findings().map(({ field, message }) => [field, message.split('\n')]);
  expect(Object.fromEntries(findings)).toEqual({
    [`${base}.packages[0]`]: [
      'the package hello-tset is not available',
      '  | E: Unable to locate package hello-tset',
      expect.stringMatching(/^hint: did you mean hello-test\?/),
    ],
    [`${base}.packages[1]`]: [
      'the package hello-test:i386 is not available',
      expect.stringMatching(/hello-test:i386/),
      'hint: an image has packages of a single architecture, here amd64',
    ],
    [`${base}.packages[2]`]: [
      'the package gone is not available',
      '  | E: Unable to locate package gone',
      expect.stringMatching(/^hint: check its name/),
    ],
  });
});

test('dependencies that cannot be met are told as apt tells them', async () => {
  const source = { source: `${url}/suites`, suite: 'stable', components: 'main' };
  const error = await failureOf(source, { packages: ['needy'] });
  expect(error).toMatchObject({ code: 'PACKAGE_UNAVAILABLE', field: `${base}.packages` });
  expect(error.output?.join('\n')).toMatch(/needy.*Depends: not-there/);
});

test('a package that is not the one that was signed never gets in', async () => {
  const error = await failureOf({ source: `${url}/swapped` });
  expect(error).toMatchObject({ code: 'REPOSITORY_UNREACHABLE', field: `${base}.repos[0]` });
  expect(error.output?.join('\n')).toMatch(/Hash Sum mismatch|unexpected size/);
});

test('a package of a repository is looked for in the field that asks for it', async () => {
  expect(await failureOf({ packages: ['absent'] })).toMatchObject({
    field: `${base}.repos[0].packages[0]`,
  });
});

test.each(['hello-tes.', 'hello-test+'])(
  '%s is no package, though apt would take it for one',
  async (name) => {
    expect(await failureOf({}, { packages: [name] })).toMatchObject({ code: 'PACKAGE_UNAVAILABLE' });
  },
);

test('an unapproved package cannot be asked for', async () => {
  const error = await failureOf({}, { unapproved_packages: ['hello-test'] });
  expect(error).toMatchObject({
    code: 'PACKAGE_UNAVAILABLE',
    hint: expect.stringContaining('unapproved_packages'),
  });
});

test('failed downloads are tried again', async () => {
  server.failures.set('/flat/InRelease', 1);
  const observed: Observed = { steps: [], lines: [] };
  const error = await failureOf({}, { multistrap_retries: 1, multistrap_retries_delay: 0 }, observed);
  expect(error.code).toBe('INSTALLATION_FAILED');
  expect(observed.steps.join('\n')).toContain('attempt 2');
});

test('keys come from a URL or a file; one that cannot be had is named', async () => {
  writeFileSync(join(www, 'key.asc'), key.armoured);
  const binary = execFileSync('gpg', ['--dearmor'], { input: key.armoured });
  writeFileSync(join(directory, 'key.gpg'), binary);
  const source = { name: 'own', source: `${url}/flat`, suite: '/' };
  const fetched = site.keyringFrom(url);
  for (const from of [fetched, { keyring_file: 'key.gpg' }]) {
    expect(await failureOf({}, { repos: [{ ...source, ...from }] })).toMatchObject({
      code: 'INSTALLATION_FAILED',
    });
  }
  const absent = { ...fetched, keyring_url: `${url}/absent.asc` };
  expect(await failureOf({}, { repos: [{ ...source, ...absent }] })).toMatchObject({
    code: 'KEY_UNAVAILABLE',
    field: `${base}.repos[0].keyring_url`,
  });
});

test('what has expired is taken only when its repository says so', async () => {
  buildPackages(join(www, 'expired'), [hello, apt]);
  publishFlat(join(www, 'expired'), key, ['Valid-Until: Mon, 01 Jan 2024 00:00:00 UTC']);
  const expired = { source: `${url}/expired` };
  const error = await failureOf(expired, { multistrap_retries: 3 });
  expect(error).toMatchObject({ code: 'REPOSITORY_OUTDATED', field: `${base}.repos[0]` });
  expect(error.hint).toContain('check_valid_until');
  expect(await failureOf({ ...expired, check_valid_until: false })).toMatchObject({
    code: 'INSTALLATION_FAILED',
  });
});

test('a login in the address opens the repository, and is nowhere else', async () => {
  server.logins.set('/flat', 'ci:s3cr3t-w0rd');
  try {
    const observed: Observed = { steps: [], lines: [] };
    const source = url.replace('//', '//ci:s3cr3t-w0rd@');
    const repository = { source: [`${source}/nowhere`, `${source}/flat`] };
    const error = await failureOf(repository, {}, observed);
    expect(error.code).toBe('INSTALLATION_FAILED');
    expect([...observed.steps, ...observed.lines].join('\n')).not.toContain('s3cr3t');
    expect(observed.steps.join('\n')).toContain(`trying ${url}/flat`);

    const refused = await failureOf({ source: `${source.replace('w0rd', 'else')}/flat` });
    expect(refused).toMatchObject({ code: 'REPOSITORY_UNREACHABLE', field: `${base}.repos[0]` });
    expect(JSON.stringify(refused.findings())).not.toContain('s3cr3t');
  } finally {
    server.logins.clear();
  }
});

test.each<[string, (armoured: string) => string]>([
  ['has CR LF line endings', (armoured) => armoured.replaceAll('\n', '\r\n')],
  ['has other text before the line', (armoured) => `pub ed25519\n${armoured}`],
  ['has no empty line between', (armoured) => armoured.replace('\n\n', '\n')],
  ['is the base64 of a key', (armoured) => Buffer.from(armoured).toString('base64')],
  ['is a web page', () => '<!DOCTYPE html><html><body>Please log in</body></html>'],
  ['contains something other than', (armoured) => armoured.slice(0, armoured.length / 2)],
  ['is empty', () => ''],
])('a key that apt cannot read is told before anything is fetched: it %s', async (message, damage) => {
  const before = server.requests.length;
  const error = await failureOf({ keyring: damage(key.armoured) });
  expect(error).toMatchObject({ code: 'KEY_UNAVAILABLE', field: `${base}.repos[0].keyring` });
  expect(error.message).toContain(`the key ${message}`);
  expect(server.requests).toHaveLength(before);
});

describe('the key of a repository comes in a package', () => {
  const keyring = (name: string, armoured: string, path: string) => ({
    name,
    version: '1',
    files: { [path]: armoured },
  });
  const own = () => ({ name: 'own', source: `${url}/flat`, suite: '/', keyring: key.armoured });
  const vendor = (keyring_pkg: string) => ({
    name: 'vendor',
    source: `${url}/stranger`,
    suite: '/',
    keyring_pkg,
  });

  beforeAll(() => {
    buildPackages(join(www, 'flat'), [
      keyring('vendor-keyring', otherKey.armoured, '/usr/share/keyrings/vendor.asc'),
      keyring('wrong-keyring', key.armoured, '/etc/apt/trusted.gpg.d/vendor.asc'),
      { name: 'empty-keyring', version: '1' },
    ]);
    publishFlat(join(www, 'flat'), key);
    // Who controls the repository controls its keyring package: it must not vouch for itself.
    buildPackages(join(www, 'stranger'), [
      keyring('self-keyring', otherKey.armoured, '/usr/share/keyrings/self.asc'),
    ]);
    publishFlat(join(www, 'stranger'), otherKey);
  });

  test('of a repository whose key is known: it is trusted, wherever it stands in the list', async () => {
    for (const repos of [
      [own(), vendor('vendor-keyring')],
      [vendor('vendor-keyring'), own()],
    ]) {
      expect(await failureOf({}, { repos })).toMatchObject({ code: 'INSTALLATION_FAILED' });
    }
  });

  test.each([
    ['holds another key', 'wrong-keyring', 'REPOSITORY_UNTRUSTED', 'repos[1].keyring_pkg'],
    ['is only in the repository itself', 'self-keyring', 'KEY_UNAVAILABLE', 'repos[1].keyring_pkg'],
    ['holds no key', 'empty-keyring', 'KEY_UNAVAILABLE', 'repos[1].keyring_pkg'],
    ['does not exist', 'absent-keyring', 'KEY_UNAVAILABLE', 'repos[1].keyring_pkg'],
  ])('one that %s never gets the repository in', async (_, name, code, field) => {
    const error = await failureOf({}, { repos: [own(), vendor(name)] });
    expect(error).toMatchObject({ code, field: `${base}.${field}` });
  });
});

test('a key from a URL is the one with the checksum, or none', async () => {
  writeFileSync(join(www, 'key.asc'), key.armoured);
  const repository = { name: 'own', source: `${url}/flat`, suite: '/', keyring_url: `${url}/key.asc` };
  const sha256 = createHash('sha256').update(key.armoured).digest('hex');
  const failure = async (hex: string) =>
    await failureOf({}, { repos: [{ ...repository, keyring_checksum: `sha256:${hex}` }] });
  expect(await failure(sha256)).toMatchObject({ code: 'INSTALLATION_FAILED' });
  expect(await failure('0'.repeat(64))).toMatchObject({
    code: 'KEY_UNAVAILABLE',
    field: `${base}.repos[0].keyring_checksum`,
    message: expect.stringContaining(sha256),
  });
});

describe('of a list of mirrors the first that works is used', () => {
  // Fetching succeeds where the error is that there is no distribution to install.
  test.each([
    ['where nobody listens', () => 'http://127.0.0.1:1/debian'],
    ['that does not know the repository', () => `${url}/nowhere`],
    ['with another signature', () => `${url}/stranger`],
    ['with a tampered list', () => `${url}/tampered`],
    ['with a package that is not the one that was signed', () => `${url}/swapped`],
    ['that sends half of a package', () => `${url}/half`],
    ['that has lost the packages', () => `${url}/lists-only`],
  ])('after one %s', async (_, first) => {
    const observed: Observed = { steps: [], lines: [] };
    const error = await failureOf({ source: [first(), `${url}/flat`] }, {}, observed);
    expect(error.code).toBe('INSTALLATION_FAILED');
    expect(observed.steps.join('\n')).toContain(`a mirror failed; trying ${url}/flat`);
  });

  test('when none works, the last one is told', async () => {
    const error = await failureOf({ source: ['http://127.0.0.1:1/a', 'http://127.0.0.1:1/b'] });
    expect(error).toMatchObject({ code: 'REPOSITORY_UNREACHABLE', field: `${base}.repos[0]` });
    expect(error.message).toContain('http://127.0.0.1:1/b');
  });
});

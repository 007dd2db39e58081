// Lock files against a real Debian and a repository of the tests' own that moves on: what was locked is installed, or
// the build fails and names what is gone.

import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { lockOf } from '../../../../image-builder/build/packages/package-lock.ts';
import { askRepositories } from '../../../../image-builder/build/packages/resolution.ts';
import type { BuildSpec } from '../../../../image-builder/spec/api/types.ts';
import { resolveBuild } from '../../../../image-builder/spec/variables/resolve.ts';
import type { ResolvedLock } from '../../../../image-builder/spec/variables/resolved-lock.ts';
import { buildRootfs, type RootfsSources } from '../../../../image-builder/stages/rootfs/build-rootfs.ts';
import { openLocked } from '../../../../image-builder/stages/rootfs/locked.ts';
import { RootfsError } from '../../../../image-builder/stages/rootfs/rootfs-error.ts';
import { AptSite, publishFlat, type TestPackage } from '../../support/apt-repository.ts';
import { executable } from '../../support/executables.ts';
import { stageContext } from '../../support/stage.ts';

const site = new AptSite('lock');
const { directory, www, server, key } = site;
const cacheDir = join(directory, 'cache');
const agent = (version: string, text = version) => ({
  name: 'vendor-agent',
  version,
  files: { '/usr/share/vendor-agent/version': `${text}\n` },
});
const file = (name: string, version = '1.0') => join(www, name, `vendor-agent_${version}_all.deb`);
const publish = (name: string, ...versions: TestPackage[]) => site.publish(name, versions);

let url: string;
let inputs: RootfsSources;
let lock: ResolvedLock;
let runs = 0;
const newContext = () => stageContext(directory, `run-${runs++}`);

const spec = (source: string | string[], architecture: 'amd64' | 'arm64' = 'amd64'): BuildSpec => ({
  rootfs: {
    multistrap: {
      rootfs_arch: architecture,
      kernel_base_pkg: 'bash',
      multistrap_retries: 0,
      packages: [],
      repos_append: [
        {
          ...{ name: 'vendor', source, suite: '/', packages: ['vendor-agent'] },
          ...site.keyringFrom(url),
        },
      ],
    },
  },
});

async function inputsWith(source: string | string[], architecture?: 'arm64') {
  const resolved = await resolveBuild('node', spec(source, architecture), { cwd: directory });
  const distribution = { ...resolved.distribution, boot_packages: [] };
  return { ...resolved, distribution, multistrap: resolved.rootfs.multistrap };
}

beforeAll(async () => {
  writeFileSync(join(www, 'key.asc'), key.armoured);
  url = await server.start();
  publish('vendor', agent('1.0'));
  publish('snapshot', agent('1.0'));
  const resolved = await inputsWith(`${url}/vendor`);
  inputs = resolved;
  lock = lockOf(resolved, await askRepositories(resolved, await newContext()));
  // The world moves on: another version, another key at the same place.
  publish('vendor', agent('2.0'));
  writeFileSync(join(www, 'key.asc'), 'gone');
});

afterAll(async () => {
  await site.stop();
  const { sandbox } = await stageContext(directory, 'end');
  await sandbox.run(['rm', '-rf', '--', directory]);
});

test('a lock has every package with its hash and place, and the keys', () => {
  expect(lock.packages.find(({ name }) => name === 'vendor-agent')).toEqual({
    name: 'vendor-agent',
    version: '1.0',
    architecture: 'all',
    repository: 'vendor',
    path: 'vendor-agent_1.0_all.deb',
    size: expect.any(Number),
    sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
  });
  expect(lock.packages.find(({ name }) => name === 'libc6')?.path).toMatch(/^pool\/.*\/libc6_.*_amd64\.deb$/);
  expect(lock.keyrings).toEqual({ vendor: key.armoured });
});

test('a locked build takes the old version from a mirror that still has it, twice with the same bytes', async () => {
  const resolved = await inputsWith([`${url}/vendor`, `${url}/snapshot`]);
  const build = async () => {
    const context = await newContext();
    await buildRootfs({ ...resolved, lock, cacheDir }, context);
    return context.outputDir;
  };
  const first = await build();
  const packages = JSON.parse(readFileSync(join(first, 'packages.json'), 'utf8'));
  expect(packages['vendor-agent'].version).toBe('1.0');
  const versions = Object.entries<{ version: string }>(packages).map(([name, { version }]) => [
    name,
    version,
  ]);
  expect(Object.fromEntries(versions)).toEqual(
    Object.fromEntries(lock.packages.map(({ name, version }) => [name, version])),
  );
  const { sandbox } = await newContext();
  const inTree = async (output: string, path: string) =>
    await sandbox.run(['tar', '--extract', '--to-stdout', `--file=${output}/rootfs.tar`, path]);
  expect(await inTree(first, './etc/apt/keyrings/vendor.asc')).toBe(key.armoured);
  expect(await inTree(first, './etc/apt/sources.list.d/vendor.sources')).toContain(`URIs: ${url}/vendor\n`);
  const digest = async (output: string) =>
    (await sandbox.run(['sha256sum', `${output}/rootfs.tar`])).slice(0, 64);
  expect(await digest(await build())).toBe(await digest(first));
});

test('packages of another architecture are locked, fetched and chosen like these', async () => {
  writeFileSync(join(www, 'key.asc'), key.armoured);
  const resolved = await inputsWith(`${url}/snapshot`, 'arm64');
  const foreign = lockOf(resolved, await askRepositories(resolved, await newContext()));
  expect(new Set(foreign.packages.map(({ architecture }) => architecture))).toEqual(
    new Set(['all', 'arm64']),
  );
  const context = await newContext();
  const opened = await openLocked(foreign, { ...resolved, cacheDir }, context);
  const { packages } = opened;
  expect(packages.map(({ name, version }) => [name, version]).sort()).toEqual(
    foreign.packages.map(({ name, version }) => [name, version]).sort(),
  );
  // Only what was asked for counts as installed by hand.
  expect(opened.requested).toEqual(foreign.requested);
  const libc = packages.find(({ name }) => name === 'libc6');
  expect(libc?.control).toMatch(/^Architecture: arm64$/m);
  const archive = join(opened.archives, libc?.file ?? '');
  expect(await context.sandbox.run(['dpkg-deb', '--field', archive, 'Architecture'])).toBe('arm64\n');
});

describe('a package that is not available', () => {
  /** The packages of Debian are in the cache, that of the vendor is not. */
  const failureOf = async (source: string | string[] = `${url}/vendor`): Promise<RootfsError> => {
    const sha256 = lock.packages.find(({ name }) => name === 'vendor-agent')?.sha256 ?? '';
    rmSync(join(cacheDir, 'packages', sha256), { force: true });
    const error = await openLocked(
      lock,
      { ...inputs, ...(await inputsWith(source)), cacheDir },
      await newContext(),
    ).then(
      () => undefined,
      (caught: unknown) => caught,
    );
    if (!(error instanceof RootfsError)) throw error ?? new Error('it was found');
    return error;
  };
  beforeEach(() => writeFileSync(join(www, 'key.asc'), key.armoured));

  test('is named, with what there is instead', async () => {
    const error = await failureOf();
    expect(error).toMatchObject({ code: 'LOCKED_PACKAGE_GONE', field: 'spec.build.lock' });
    expect(error.output).toEqual(['vendor-agent 1.0 is gone; available: 2.0']);
  });

  test('is not taken when another file has its place', async () => {
    publish('vendor', agent('2.0'), agent('1.0', 'evil'));
    const error = await failureOf();
    expect(error).toMatchObject({ code: 'LOCKED_PACKAGE_CHANGED' });
    expect(error.output?.join()).toMatch(/^vendor-agent 1\.0 differs from [0-9a-f]{64}$/);
  });

  test('is found when it has moved', async () => {
    publish('vendor', agent('2.0'));
    mkdirSync(join(www, 'vendor/pool'));
    copyFileSync(file('snapshot'), join(www, 'vendor/pool/vendor-agent_1.0_all.deb'));
    publishFlat(join(www, 'vendor'), key);
    await expect(failureOf()).rejects.toThrow('it was found');
  });

  test('is not looked for elsewhere when nobody can be asked', async () => {
    expect(await failureOf('http://127.0.0.1:1')).toMatchObject({ code: 'REPOSITORY_UNREACHABLE' });
  });
});

describe('image-builder lock', () => {
  const cli = (...args: string[]): Promise<{ status: number; stdout: string; stderr: string }> =>
    new Promise((resolve) => {
      const options = { cwd: directory, env: { ...process.env, TMPDIR: directory } };
      execFile(executable('image-builder'), args, options, (error, stdout, stderr) =>
        resolve({ status: error ? Number(error.code) : 0, stdout, stderr }),
      );
    });
  const lockFile = join(directory, 'node.lock.yaml');

  test('writes, checks and updates the file; a new version changes one line of packages', async () => {
    writeFileSync(join(www, 'key.asc'), key.armoured);
    publish('vendor', agent('1.0'));
    const object = {
      apiVersion: 'airshipit.org/v1alpha1',
      kind: 'ImageBuilder',
      metadata: { name: 'node' },
      spec: { build: { ...spec(`${url}/vendor`), lock: 'node.lock.yaml' } },
    };
    writeFileSync(join(directory, 'node.yaml'), JSON.stringify(object));
    expect(await cli('build', 'node.yaml')).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/spec\.build\.lock: node\.lock\.yaml does not exist/),
    });
    expect(await cli('lock', '--check', 'node.yaml')).toMatchObject({ status: 1, stdout: '' });
    expect(await cli('lock', 'node.yaml')).toMatchObject({ status: 0, stdout: '' });
    const before = readFileSync(lockFile, 'utf8');
    expect(await cli('lock', '--check', 'node.yaml')).toMatchObject({ status: 0, stdout: '' });

    publish('vendor', agent('2.0'));
    const drifted = await cli('lock', '--check', 'node.yaml');
    expect(drifted.status).toBe(1);
    expect(drifted.stdout).toContain('~ packages[name=vendor-agent].version: 1.0 → 2.0\n');
    expect(readFileSync(lockFile, 'utf8')).toBe(before);
    expect(await cli('lock', 'node.yaml')).toMatchObject({ status: 0 });
    const [old, current] = [before, readFileSync(lockFile, 'utf8')].map((text) => text.split('\n'));
    const changed = old?.filter((line) => !current?.includes(line)).map((line) => line.trim().split(':')[0]);
    expect(changed).toEqual(['sourceDateEpoch', 'vendor-agent']);

    // The same file has a section for another architecture; that of the first one stays.
    const foreign = { ...object.spec.build, ...spec(`${url}/vendor`, 'arm64') };
    writeFileSync(join(directory, 'arm64.yaml'), JSON.stringify({ ...object, spec: { build: foreign } }));
    const amd64 = readFileSync(lockFile, 'utf8');
    expect(await cli('plan', 'arm64.yaml')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('node.lock.yaml has no packages for arm64'),
    });
    expect(await cli('lock', 'arm64.yaml')).toMatchObject({ status: 0 });
    const [head = '', section = ''] = readFileSync(lockFile, 'utf8').split(/^ {2}arm64:$/m);
    expect(head).toBe(amd64);
    expect(section).toMatch(/^ {6}libc6: \{.*architecture: arm64, .*_arm64\.deb/m);
    expect(section).not.toContain('amd64');
    const planned = await cli('build', '--dry-run', '--output', 'json', 'arm64.yaml');
    expect(JSON.parse(planned.stdout)[0]).toMatchObject({
      architecture: 'arm64',
      packageSource: { from: 'lock' },
      packages: { 'grub-efi-arm64-bin': expect.any(String), 'vendor-agent': '2.0' },
    });

    // What was locked is no longer what is asked for.
    writeFileSync(
      join(directory, 'node.yaml'),
      JSON.stringify(object).replace('"packages":[]', '"packages":["vim"]'),
    );
    expect(await cli('plan', 'node.yaml')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('was made for a different set of packages: +vim'),
    });
  });
});

// A real program of another architecture, from Debian's archive, runs in the sandbox, and the machine does not notice.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { askRepositories } from '../../../image-builder/build/packages/resolution.ts';
import { enterTree } from '../../../image-builder/sandbox/enter-tree.ts';
import { createLocalSandbox } from '../../../image-builder/sandbox/local-sandbox.ts';
import { smallestProgram } from '../../../image-builder/sandbox/probe.ts';
import { resolveBuild } from '../../../image-builder/spec/variables/resolve.ts';
import { ordinaryUser, runAs } from '../support/ordinary-user.ts';
import { stageContext } from '../support/stage.ts';

const directory = mkdtempSync(join(tmpdir(), 'emulation-'));
const root = join(directory, 'root');
const registrations = () => {
  const registered = '/proc/sys/fs/binfmt_misc';
  return existsSync(registered) ? readdirSync(registered) : [];
};
const before = registrations();
afterAll(() => rm(directory, { recursive: true }));

beforeAll(async () => {
  const spec = { rootfs: { multistrap: { rootfs_arch: 'arm64' as const, packages: ['busybox-static'] } } };
  const resolved = await resolveBuild('node', spec, { cwd: directory });
  const { multistrap } = resolved.rootfs;
  const { packages } = await askRepositories(
    { ...resolved, multistrap },
    await stageContext(directory, 'plan'),
  );
  const busybox = packages.find(({ name }) => name === 'busybox-static');
  const repository = multistrap.repos.find(({ name }) => name === busybox?.repository);
  const url = `${repository?.source}/${busybox?.path}`;
  const archive = join(directory, 'busybox.deb');
  writeFileSync(archive, Buffer.from(await (await fetch(url)).arrayBuffer()));
  mkdirSync(join(root, 'tmp'), { recursive: true });
  execFileSync('dpkg-deb', ['--extract', archive, root]);
  execFileSync('chmod', ['-R', 'a+rX', directory]);
});

test('as root of a namespace, with every id', async () => {
  const sandbox = await createLocalSandbox({ architecture: 'arm64' });
  const run = (...argv: string[]) => sandbox.run(['chroot', root, '/usr/bin/busybox', ...argv]);
  expect(await run('uname', '-m')).toBe('aarch64\n');
  expect(await run('sh', '-c', 'echo $QEMU_CPU')).toBe('cortex-a53\n');
  writeFileSync(join(root, 'tmp/program'), smallestProgram('arm64'), { mode: 0o755 });
  await sandbox.run([join(root, 'tmp/program')]);
  await run('touch', '/tmp/owned');
  await run('chown', '33:65534', '/tmp/owned');
  expect(await run('stat', '-c', '%u %g', '/tmp/owned')).toBe('33 65534\n');
  await sandbox.run(['rm', join(root, 'tmp/owned')]);
  const confined = { writable: [root] };
  expect(await sandbox.run(enterTree(root, ['/usr/bin/busybox', 'uname', '-m']), { confined })).toBe(
    'aarch64\n',
  );
});

const user = process.getuid?.() === 0 ? ordinaryUser() : undefined;
(user ? test : test.skip)('as an ordinary user', async () => {
  if (user === undefined) return;
  const home = join(directory, 'home');
  execFileSync('install', ['-d', '-o', user.name, home]);
  await runAs(user, join(__dirname, 'emulation-program.ts'), [root, join(home, 'machine')], home);
  expect(execFileSync('cat', [join(home, 'machine')], { encoding: 'utf8' })).toBe('aarch64\n');
});

test('nothing is registered on the machine', () => {
  expect(registrations()).toEqual(before);
});

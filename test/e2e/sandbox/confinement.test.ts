// What an image brings along runs as root of its tree, and is nobody on this machine.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { enterTree } from '../../../image-builder/sandbox/enter-tree.ts';
import { createLocalSandbox } from '../../../image-builder/sandbox/local-sandbox.ts';
import type { Sandbox, SandboxCommandOptions } from '../../../image-builder/sandbox/sandbox.ts';
import { openMemory } from '../../../image-builder/sandbox/tmpfs.ts';
import { withChroot } from '../../../image-builder/stages/rootfs/chroot.ts';

const directory = mkdtempSync(join(tmpdir(), 'confinement-'));
const tree = join(directory, 'tree');
const other = join(directory, 'other');
let sandbox: Sandbox;
afterAll(() => rmSync(directory, { recursive: true }));

beforeAll(async () => {
  for (const name of ['bin', 'dev', 'etc', 'proc', 'run', 'sys', 'tmp', 'usr/sbin']) {
    mkdirSync(join(tree, name), { recursive: true });
  }
  execFileSync('cp', ['/bin/busybox', join(tree, 'bin/busybox')]);
  for (const name of ['sh', 'cat', 'rm', 'chmod', 'ls', 'id']) {
    execFileSync('ln', ['-s', 'busybox', join(tree, 'bin', name)]);
  }
  mkdirSync(other);
  writeFileSync(join(other, 'secret'), 'secret', { mode: 0o600 });
  sandbox = await createLocalSandbox();
});

const confined = { writable: [tree] };
const run = async (argv: string[], options: SandboxCommandOptions = {}) =>
  await sandbox.run(argv, { confined, ...options }).catch((error: Error & { output?: string[] }) => {
    return `failed: ${error.output?.join('\n')}`;
  });
const inTree = (script: string, options: SandboxCommandOptions = {}) =>
  withChroot(tree, enterTree(tree, ['sh', '-c', script]), { sandbox }, { confined, ...options });

// A directory that is open while the root directory changes is a way out of that (chroot(2)).
const ESCAPE = `
my ($tree, $file) = @ARGV;
chroot $tree; chdir "/"; mkdir "below"; opendir(my $outside, "/");
chroot "below" or exit 3;
chdir $outside; chdir ".." for 1 .. 64; chroot ".";
open(my $target, ">", $file) or die "$file: $!"; print $target "escaped";`;

test('a chroot that is left leads to a directory that holds nothing of the machine', async () => {
  for (const file of [join(other, 'escaped'), '/etc/escaped', '/usr/escaped', '/root/escaped', '/escaped']) {
    await run(['perl', '-e', ESCAPE, tree, file]);
    expect(existsSync(file)).toBe(false);
  }
  expect(await run(['cat', join(other, 'secret')])).toMatch(/No such file/);
  expect(await run(['ls', '/'])).not.toMatch(/^(root|home|boot|srv|work|mnt)$/m);
  expect(await run(['cat', '/etc/shadow'])).not.toMatch(/^root:/m);
  expect(await run(['cat', '/etc/hostname', '/etc/passwd'])).toMatch(/^root:/m);
});

test('who is root of the namespaces can undo none of it', async () => {
  const { mode } = sandbox;
  const swappiness = readFileSync('/proc/sys/vm/swappiness', 'utf8');
  for (const command of [
    'mount -o remount,bind,rw /usr',
    'umount /etc',
    'mount -t proc proc /tmp',
    'unshare --pid --fork mount -t proc proc /tmp',
    'mount -o remount,bind,rw /proc/sys',
    'umount /proc/sys',
    `echo ${swappiness.trim()} > /proc/sys/vm/swappiness`,
    'chmod 600 /dev/null',
    'mknod /tmp/disk b 254 0',
    `mkdir /tmp/a && mount --bind ${other} /tmp/a`,
    'nsenter --target 1 --mount true && ls /root',
  ]) {
    expect(`${command}: ${await run(['sh', '-c', command])}`).toMatch(/: failed: /);
  }
  await run(['hostname', 'changed']);
  expect(hostname()).not.toBe('changed');
  expect(readFileSync('/proc/sys/vm/swappiness', 'utf8')).toBe(swappiness);
  expect(['namespaces', 'user-namespaces']).toContain(mode);
});

test('programs of the tree have few capabilities, and get no others', async () => {
  const status = await inTree('cat /proc/self/status');
  // CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, NET_RAW, AUDIT_WRITE, SETFCAP
  for (const set of ['CapPrm', 'CapEff', 'CapBnd'])
    expect(status).toMatch(new RegExp(`^${set}:\\t00000000a00025fb$`, 'm'));
  expect(status).toMatch(/^NoNewPrivs:\t1$/m);
  expect(status).toMatch(/^Uid:\t0\t0\t0\t0$/m);
  for (const command of [
    'chroot /tmp /bin/sh',
    'mount -t tmpfs x /tmp',
    'mknod /tmp/null c 1 3',
    'hostname x',
  ]) {
    await expect(inTree(`/bin/busybox ${command}`)).rejects.toThrow();
  }
});

test('scripts have standard streams as files, terminals, and no service is started', async () => {
  const streams = 'echo in | cat /dev/stdin; echo out > /dev/stdout; echo progress > /dev/stderr';
  const output = await inTree(`{ ${streams}; } 2>&1 | /bin/busybox tr a-z A-Z; ls /dev/pts/ptmx /dev/ptmx`);
  expect(output).toBe('IN\nOUT\nPROGRESS\n/dev/ptmx\n/dev/pts/ptmx\n');
  await expect(inTree('/bin/sh /usr/sbin/policy-rc.d')).rejects.toMatchObject({ exitCode: 101 });
  expect(existsSync(join(tree, 'usr/sbin/policy-rc.d'))).toBe(false);
});

test('no link of the tree is followed on the outside', async () => {
  const target = join(other, 'from-link');
  execFileSync('ln', ['-s', target, join(tree, 'usr/sbin/policy-rc.d')]);
  await inTree('true');
  expect(existsSync(target)).toBe(false);
});

test('there is a network only for who asks for it', async () => {
  const devices = async (network: boolean) =>
    await run(['sh', '-c', 'cat /proc/net/dev | wc -l'], { confined: { ...confined, network } });
  expect(await devices(false)).toBe('3\n');
  expect(await devices(true)).toBe(
    execFileSync('sh', ['-c', 'cat /proc/net/dev | wc -l'], { encoding: 'utf8' }),
  );
});

test('only what is to be changed can be, in memory, too', async () => {
  const view = { writable: [tree], readable: [directory] };
  expect(await run(['sh', '-c', `cat ${other}/secret; echo x > ${other}/file`], { confined: view })).toMatch(
    /Read-only/,
  );
  await run(['sh', '-c', `echo x > ${tree}/tmp/changed`], { confined: view });
  expect(readFileSync(join(tree, 'tmp/changed'), 'utf8')).toBe('x\n');

  const memory = await openMemory(sandbox, join(directory, 'memory'), 1 << 20);
  if (!memory) throw new Error('there is no memory');
  const room = join(directory, 'memory/room');
  await memory.sandbox.run(['mkdir', room]);
  await memory.sandbox.run(['sh', '-c', `echo y > ${room}/file`], { confined: { writable: [room] } });
  expect(readFileSync(memory.sandbox.hostPath(`${room}/file`), 'utf8')).toBe('y\n');
  await memory.close();
});

// `docker run --privileged --volume /proc:/proc` starts it so, as cut_image.sh of the predecessor does.
test('no namespace is entered by an id out of the /proc of others', async () => {
  const outfile = join(directory, 'program.cjs');
  await build({
    entryPoints: [join(__dirname, 'foreign-proc-program.ts')],
    ...{ outfile, bundle: true, platform: 'node', format: 'cjs', logLevel: 'error' },
  });
  const place = join(directory, 'foreign');
  mkdirSync(place);
  const unshare =
    sandbox.mode === 'namespaces'
      ? ['--pid', '--fork']
      : ['--user', '--map-root-user', '--map-auto', '--pid', '--fork'];
  execFileSync('unshare', [...unshare, process.execPath, outfile, place], { cwd: directory });
  expect(JSON.parse(readFileSync(join(place, 'result.json'), 'utf8'))).toEqual({
    pid: 1,
    hasMemory: false,
    output: 'ran\n',
  });
  expect(readFileSync(join(place, 'room/file'), 'utf8')).toBe('written\n');
});

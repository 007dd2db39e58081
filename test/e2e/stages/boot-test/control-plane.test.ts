// The control plane that a booted image joins, with the real programs: it ends with its test, however that ends. What becomes of
// an image that joins is in test/e2e/images/join.test.ts.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { executable } from '../../support/executables.ts';
import { controlPlaneDirectories } from '../../support/kubernetes-packages.ts';
import { ordinaryUser } from '../../support/ordinary-user.ts';

const directory = mkdtempSync(join(tmpdir(), 'control-plane-'));
const disk = join(directory, 'disk.qcow2');
const scratch = join(directory, 'scratch');
const programs = controlPlaneDirectories('1.37').join(':');

beforeAll(() => {
  chmodSync(directory, 0o755);
  mkdirSync(scratch);
  chmodSync(scratch, 0o1777);
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', disk, '1M']);
  chmodSync(disk, 0o644);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Those that have something to do with files of these tests. */
const processes = () =>
  execFileSync('ps', ['-eo', 'pid,user:20,args'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes(`${scratch}/`) && !line.includes(' ps -eo '));

interface Ended {
  child: ChildProcess;
  ended: Promise<{ status: number | null; stderr: string }>;
  /** Resolves when this has been printed. */
  said(text: string): Promise<void>;
}

function bootTest(path: string, command: readonly string[] = []): Ended {
  const argv = [...command, executable('image-builder'), '--log-format', 'plain', 'boot-test', disk];
  const [file = '', ...args] = [...argv, '--kubernetes', 'join', '--control-plane', path, '--timeout', '300'];
  const child = spawn(file, args, {
    env: { PATH: process.env.PATH, HOME: directory, TMPDIR: scratch },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  const listeners = new Set<() => void>();
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    for (const listener of listeners) listener();
  });
  return {
    child,
    ended: new Promise((done) => child.once('close', (status) => done({ status, stderr }))),
    said: (text) =>
      new Promise((done) => {
        const look = () => stderr.includes(text) && done();
        listeners.add(look);
        look();
      }),
  };
}

/** Of a control plane and its machine: what was seen of an image that does not boot is kept, and what is known of KVM. */
const left = () =>
  readdirSync(scratch).filter((name) => /^image-builder-(control-plane|boot)-(?!test-)/.test(name));

test('an interrupt ends it, which root does not run as root', async () => {
  const starting = bootTest(programs);
  await starting.said('start a control plane');
  starting.child.kill('SIGINT');
  expect((await starting.ended).status).not.toBe(0);
  expect(left()).toEqual([]);
  const { child, ended, said } = bootTest(programs);
  await said('boot under bios');
  const running = processes().join('\n');
  const isRoot = process.getuid?.() === 0;
  for (const name of ['etcd', 'kube-apiserver', 'kube-controller-manager'])
    expect(running).toMatch(new RegExp(`^ *\\d+ +${isRoot ? '(?!root )' : ''}\\S+ +\\S*/${name} `, 'm'));
  child.kill('SIGINT');
  expect((await ended).status).not.toBe(0);
  expect(processes()).toEqual([]);
  expect(left()).toEqual([]);
});

test('it does not outlive a test that is killed', async () => {
  const { child, ended, said } = bootTest(programs);
  await said('boot under bios');
  child.kill('SIGKILL');
  await ended;
  const deadline = Date.now() + 20_000;
  const daemons = () => processes().filter((line) => /\/(etcd|kube-\S+) /.test(line));
  while (daemons().length > 0 && Date.now() < deadline) await new Promise((done) => setTimeout(done, 100));
  expect(daemons()).toEqual([]);
  for (const line of processes()) process.kill(Number.parseInt(line, 10), 'SIGKILL');
  for (const name of left()) rmSync(join(scratch, name), { recursive: true });
});

test('an image that does not boot ends it; an ordinary user has it run as themselves', async () => {
  const user = process.getuid?.() === 0 ? ordinaryUser() : undefined;
  const drop = user ? ['setpriv', `--reuid=${user.uid}`, `--regid=${user.gid}`, '--init-groups'] : [];
  const { ended, said } = bootTest(programs, drop);
  await said('boot under bios');
  const owners = processes().map((line) => line.trim().split(/ +/)[1]);
  expect(new Set(owners)).toEqual(new Set([user?.name ?? userInfo().username]));
  const { status, stderr } = await ended;
  expect(stderr).toContain('[BOOT_FAILED]');
  expect(status).toBe(1);
  expect(processes()).toEqual([]);
  expect(left()).toEqual([]);
});

describe('what is amiss is told', () => {
  /** Where the programs are, one of which is another. */
  function withProgram(name: string, script: string): string {
    const path = mkdtempSync(join(directory, 'programs-'));
    chmodSync(path, 0o755);
    writeFileSync(join(path, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    return `${path}:${programs}`;
  }
  const errorOf = async (path: string) => (await bootTest(path).ended).stderr;

  test('programs that are missing, and where to get them', async () => {
    const [kubernetes = ''] = programs.split(':');
    const stderr = await errorOf(kubernetes);
    expect(stderr).toMatch(/etcd .*\[TOOL_MISSING\]/);
    expect(stderr).not.toContain('kube-apiserver');
    expect(stderr).toContain('IMAGE_BUILDER_CONTROL_PLANE');
  });

  test('a program that ends, with its last words', async () => {
    const stderr = await errorOf(withProgram('etcd', 'echo no space left on device >&2; exit 7'));
    expect(stderr).toContain('etcd has ended by itself [CONTROL_PLANE_FAILED]');
    expect(stderr).toContain('| no space left on device');
    expect(processes()).toEqual([]);
  });

  test('a phase that fails, with the last words of kubeadm', async () => {
    const stderr = await errorOf(
      withProgram('kubeadm', 'echo "this version of kubeadm only supports ..."; exit 1'),
    );
    expect(stderr).toMatch(
      /kubeadm init phase certs all .* ended with exit status 1 \[CONTROL_PLANE_FAILED\]/,
    );
    expect(stderr).toContain('| this version of kubeadm only supports ...');
    expect(left()).toEqual([]);
  });
});

// The ways between a machine and the control plane, with the real relay.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts, networkOptions } from '../../../../image-builder/stages/boot-test/join/network.ts';

const directory = mkdtempSync(join(tmpdir(), "it's, a network-"));
let server: Server;
let relay: string[];

beforeAll(async () => {
  server = createServer((client) => client.pipe(client));
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const apiServer = (server.address() as AddressInfo).port;
  const options = await networkOptions(directory, { apiServer, etcd: 2, etcdPeers: 3, kubelet: 4 });
  expect(options[0]).toBe('hostfwd=tcp:127.0.0.1:4-10.0.2.15:10250');
  const command = /^guestfwd=tcp:10\.0\.2\.100:6443-cmd:(.*)$/.exec(options[1] ?? '')?.[1] ?? '';
  // GLib's rules are those of a shell.
  relay = ['-c', `exec ${command}`];
});
afterAll(async () => {
  await new Promise((done) => server.close(done));
  rmSync(directory, { recursive: true });
});

const connected = () => {
  const child = spawn('sh', relay, { stdio: ['pipe', 'pipe', 'pipe'] });
  const heard = new Promise<string>((done) => child.stdout.once('data', (data) => done(String(data))));
  const ended = new Promise<number | null>((done) => child.once('close', done));
  child.stdin.on('error', () => {}).write('hello');
  return { child, heard, ended };
};

test('a connection is carried in both directions until one side ends it', async () => {
  const { child, heard, ended } = connected();
  expect(await heard).toBe('hello');
  child.stdin.end();
  expect(await ended).toBe(0);
});

test('there are no more than 64 at a time', async () => {
  const first = Array.from({ length: 64 }, connected);
  await Promise.all(first.map(({ heard }) => heard));
  const one = connected();
  expect(await one.ended).toBe(1);
  const children: ChildProcess[] = first.map(({ child }) => child);
  for (const child of children) child.stdin?.end();
  await Promise.all(first.map(({ ended }) => ended));
  const next = connected();
  expect(await next.heard).toBe('hello');
  next.child.stdin.end();
  await next.ended;
});

test('free ports differ', async () => {
  const ports = Object.values(await freePorts());
  expect(new Set(ports).size).toBe(4);
});

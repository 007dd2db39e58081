// Signals and errors of both executables, on a registry that never answers; and what the bundling has embedded.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse } from 'yaml';
import { imageBuilderSchema } from '../../../image-builder/embedded/schema.ts';
import { writeLayout } from '../../support/images.ts';
import { executable, run } from '../support/executables.ts';

const cli = executable('image-builder');
const fn = executable('image-builder-fn');
let directory: string;
let server: Server;
let image: string;
let connected: Promise<void>;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'cli-e2e-'));
  server = createServer((socket) => socket.on('error', () => {}));
  connected = new Promise((resolve) => server.once('connection', () => resolve()));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  image = `127.0.0.1:${(server.address() as AddressInfo).port}/site/bundle:v1`;
});
afterEach(() => {
  server.close();
  rmSync(directory, { recursive: true });
});

async function interrupted(child: ChildProcess, signal: NodeJS.Signals) {
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr?.on('data', (chunk) => {
    stderr += chunk;
  });
  await connected;
  child.kill(signal);
  const status = await new Promise((resolve) => child.on('close', (code, by) => resolve(code ?? by)));
  return { stdout, stderr, status };
}

/** Seconds. https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
function processorTime(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

const env = () => ({ PATH: process.env.PATH, TMPDIR: directory, XDG_CACHE_HOME: join(directory, 'cache') });

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('%s ends the function with %d, and everything comes back', async (signal, expected) => {
  const input = `apiVersion: config.kubernetes.io/v1
kind: ResourceList
items:
- kind: Kept # as it is
functionConfig:
  apiVersion: airshipit.org/v1alpha1
  kind: ImageBuilder
  metadata: {name: x}
  spec: {bundle: {image: '${image}'}}
`;
  const child = spawn(fn, { env: env() });
  child.stdin.end(input);
  const { stdout, stderr, status } = await interrupted(child, signal);
  expect(status).toBe(expected);
  expect(stderr).toBe(`error: ImageBuilder/x: interrupted by ${signal} [INTERRUPTED]\n`);
  expect(stdout.startsWith(input)).toBe(true);
  expect(parse(stdout).results[0].message).toBe(`interrupted by ${signal}`);
  expect(readdirSync(directory).filter((name) => name !== 'cache')).toEqual([]);
});

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('%s ends `image-builder fn` with %d', async (signal, expected) => {
  const config = join(directory, 'config.yaml');
  writeFileSync(
    config,
    `apiVersion: airshipit.org/v1alpha1\nkind: ImageBuilder\nmetadata: {name: x}\nspec: {bundle: {image: '${image}'}}\n`,
  );
  const { status, stderr } = await interrupted(spawn(cli, ['fn', config], { env: env() }), signal);
  expect({ status, stderr }).toEqual({
    status: expected,
    stderr: `error: ImageBuilder/x: interrupted by ${signal} [INTERRUPTED]\n`,
  });
});

// Without node:zlib's decoder it is busy with this block for seconds; that one refuses it.
test('SIGTERM ends a command that decompresses a hostile block', async () => {
  const layout = join(directory, 'layout');
  const hostile = Buffer.from('28b52ffd00384d000000ffffff5423023401', 'hex');
  const mediaType = 'application/vnd.oci.image.layer.v1.tar+zstd';
  await writeLayout(layout, {
    layers: [{ entries: [], compression: () => ({ blob: hostile, mediaType }) }],
  });
  const child = spawn(cli, ['extract', `oci:${layout}`, '/profiles/profile_x.json'], { env: env() });
  const ended = new Promise((resolve) => child.on('close', (code, by) => resolve(code ?? by)));
  while (child.exitCode === null && processorTime(child.pid) < 0.7) await sleep(20);
  if (child.exitCode === null) child.kill('SIGTERM');
  else expect(child.exitCode).toBe(1);
  const asked = performance.now();
  expect([1, 143]).toContain(await ended);
  expect(performance.now() - asked).toBeLessThan(4000);
});

test('every command has its help, and an unknown one is an error', () => {
  const { stdout } = run([cli, '--help']);
  const commands = Array.from(stdout.matchAll(/^ {2}([a-z][a-z-]*) /gm), ([, name]) => name as string);
  expect(commands).toEqual(expect.arrayContaining(['build', 'extract', 'fn', 'schema']));
  for (const command of commands.filter((name) => name !== 'help')) {
    const { stdout, status } = run([cli, command, '--help']);
    expect({ command, status }).toEqual({ command, status: 0 });
    expect(stdout).toContain(`Usage: image-builder ${command}`);
  }
  expect(run([cli, 'nope'])).toMatchObject({
    status: 1,
    stderr: expect.stringContaining("unknown command 'nope'"),
  });
});

test('the schema, as JSON Schema and as KRMFunctionDefinition', () => {
  expect(JSON.parse(run([cli, 'schema'], { cwd: '/' }).stdout)).toMatchObject(imageBuilderSchema);
  const krm = run([cli, 'schema', '--format', 'krm']).stdout;
  expect(parse(krm)).toMatchObject({
    kind: 'KRMFunctionDefinition',
    spec: { names: { kind: 'ImageBuilder' } },
  });
  expect(readFileSync(join(__dirname, '../../../dist/image-builder.krm.yaml'), 'utf8')).toBe(krm);
  expect(run(['sh', '-c', `${cli} schema | head -1`])).toMatchObject({ status: 0, stderr: '' });
});

test('the bundled validator finds what the one of the source tree finds', () => {
  const config = join(directory, 'config.yaml');
  const spec =
    'spec:\n  build:\n    qcows:\n      a: {qcow: {partitions: [{mount: /, part_start: 1MiB, part_end: 5}], qcow_capacty: 1G}}\n';
  writeFileSync(
    config,
    `apiVersion: airshipit.org/v1alpha1\nkind: ImageBuilder\nmetadata: {name: x}\n${spec}`,
  );
  const { stderr, status } = run([fn, config]);
  expect(status).toBe(1);
  expect(stderr).toContain(
    'spec.build.qcows.a.qcow.qcow_capacty: unknown field; did you mean qcow_capacity?',
  );
  expect(stderr).toContain(
    'spec.build.qcows.a.qcow.partitions[0].part_end: is the number 5, expected a position on the disk',
  );
});

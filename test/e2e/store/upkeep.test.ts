// `image-builder store ls|gc|verify` on a store that real stages have filled.
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore } from '../../../image-builder/store/store.ts';
import { createWorkspace, treeRemover } from '../../../image-builder/store/workspace.ts';
import { bundleProgram, start } from '../build/programs.ts';
import { type SmallInputs, smallBuild, smallPlan } from '../build/small-stages.ts';
import { executable, run } from '../support/executables.ts';

jest.setTimeout(120_000);

const scratch = mkdtempSync(join(tmpdir(), 'image-builder-test-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const inputs: SmallInputs = { content: 'c', setting: 's', images: { a: '1', b: '2' } };
const names = Object.fromEntries(smallPlan(inputs).map(({ name, kind, key }) => [name, `${kind}-${key}`]));

let stores = 0;
async function filledStore(): Promise<string> {
  const directory = join(scratch, `store-${stores++}`);
  await smallBuild(directory, inputs);
  return directory;
}

/** Lets an entry have been used so many hours ago. */
function age(store: string, stage: string, hours: number): void {
  const used = new Date(Date.now() - hours * 3_600_000);
  utimesSync(join(store, 'entries', names[stage] ?? ''), used, used);
}

function command(store: string, ...args: string[]) {
  const { status, stdout, stderr } = run([executable('image-builder'), 'store', ...args, '--store', store]);
  return { status, stdout, stderr };
}

const json = (store: string, ...args: string[]) =>
  JSON.parse(command(store, ...args, '--output', 'json').stdout) as Record<string, unknown>[];
const remaining = (store: string) => readdirSync(join(store, 'entries')).sort();
const allBut = (...stages: string[]) =>
  Object.entries(names)
    .filter(([stage]) => !stages.includes(stage))
    .map(([, name]) => name)
    .sort();

describe('ls', () => {
  test('those used longest ago first, with their size', async () => {
    const store = await filledStore();
    age(store, 'osconfig', 2);
    age(store, 'bundle', 1);
    const listed = json(store, 'ls');
    expect(listed.slice(0, 2).map(({ stage }) => stage)).toEqual(['osconfig', 'bundle']);
    expect(listed).toHaveLength(5);
    const tree = join(store, 'entries', names.osconfig ?? '', 'tree.tar');
    expect(listed[0]).toMatchObject({ kind: 'osconfig', build: 'small', bytes: statSync(tree).size });
    expect(command(store, 'ls').stdout).toMatch(
      /^ENTRY +SIZE +LAST USED +BUILD +STAGE\nosconfig-[0-9a-f]{12} .*\n(?:.*\n){4}5 entries in the store, /,
    );
  });

  test('to verify entries is no use of them', async () => {
    const store = await filledStore();
    age(store, 'osconfig', 2);
    const before = json(store, 'ls');
    expect(command(store, 'verify')).toMatchObject({ status: 0 });
    expect(json(store, 'ls')).toEqual(before);
  });

  test('of a store that is not there', () => {
    expect(json(join(scratch, 'nothing'), 'ls')).toEqual([]);
    expect(existsSync(join(scratch, 'nothing'))).toBe(false);
  });
});

describe('gc', () => {
  test('wants to know a limit', async () => {
    expect(command(await filledStore(), 'gc')).toMatchObject({ status: 1 });
  });

  test('by age', async () => {
    const store = await filledStore();
    age(store, 'rootfs', 49);
    age(store, 'qcow/a', 47);
    writeFileSync(join(store, 'logs', `${names.rootfs}.png`), '');
    expect(json(store, 'gc', '--max-age', '2d').map(({ stage }) => stage)).toEqual(['rootfs']);
    expect(remaining(store)).toEqual(allBut('rootfs'));
    const logs = readdirSync(join(store, 'logs'));
    expect(logs.filter((name) => name.startsWith(`${names.rootfs}.`))).toEqual([]);
    expect(command(store, 'gc', '--max-age', '1000d').stdout).toBe('nothing removed\n');
    expect(readdirSync(join(store, 'locks'))).not.toContain(names.rootfs);
    expect(readdirSync(join(store, 'work'))).toEqual([]);
  });

  test('by size: those used longest ago go, and no more than needed', async () => {
    const store = await filledStore();
    for (const [index, stage] of ['qcow/b', 'rootfs', 'qcow/a', 'osconfig', 'bundle'].entries())
      age(store, stage, 10 - index);
    const sizes: Record<string, number> = Object.fromEntries(
      json(store, 'ls').map(({ stage, bytes }) => [stage, Number(bytes)]),
    );
    const total = Object.values(sizes).reduce((sum, bytes) => sum + bytes, 0);
    const limit = total - (sizes['qcow/b'] ?? 0) - 1;
    expect(json(store, 'gc', '--max-size', `${limit}`).map(({ stage }) => stage)).toEqual([
      'qcow/b',
      'rootfs',
    ]);
    expect(remaining(store)).toEqual(allBut('qcow/b', 'rootfs'));
    expect(json(store, 'gc', '--max-size', '1T')).toEqual([]);
  });

  test('keeps what a running build has come to, and takes what it has not', async () => {
    const directory = await filledStore();
    for (const stage of Object.keys(names)) age(directory, stage, 100);
    const program = bundleProgram('run-small', scratch);
    // Needs rootfs from the store, and stays in osconfig.
    const running = start(program, [
      directory,
      JSON.stringify({ ...inputs, setting: 'x', script: 'sleep 60' }),
    ]);
    try {
      await running.printed({ stage: 'osconfig', status: 'started' });
      json(directory, 'gc', '--max-age', '1h', '--max-size', '1');
      expect(remaining(directory)).toEqual([names.rootfs]);
      expect(readdirSync(join(directory, 'work'))).toHaveLength(1);
    } finally {
      running.process.kill('SIGTERM');
      await running.ended;
    }
    expect(json(directory, 'gc', '--max-size', '0').map(({ stage }) => stage)).toEqual(['rootfs']);
  });

  test('old traces of builds in the background go, those of running ones stay', async () => {
    const directory = await filledStore();
    const store = await openStore(directory);
    for (const name of ['old', 'new']) {
      mkdirSync(join(directory, 'triggers', name));
      writeFileSync(join(directory, 'triggers', name, 'log'), '');
    }
    const long = new Date(Date.now() - 90 * 86_400_000);
    utimesSync(join(directory, 'triggers/old'), long, long);
    const workspace = await createWorkspace(store, treeRemover());
    json(directory, 'gc', '--max-age', '30d');
    await workspace.dispose();
    expect(readdirSync(join(directory, 'triggers'))).toEqual(['new']);
  });
});

describe('verify', () => {
  test('finds nothing wrong', async () => {
    const store = await filledStore();
    expect(json(store, 'verify')).toEqual(
      Object.values(names)
        .sort()
        .map((name) => ({ name })),
    );
    expect(command(store, 'verify')).toMatchObject({ status: 0, stderr: '' });
  });

  test('finds a damaged byte that no time stamp tells, and the next build repairs it', async () => {
    const directory = await filledStore();
    const file = join(directory, 'entries', names.bundle ?? '', 'digests');
    const { atime, mtime, size } = statSync(file);
    writeFileSync(file, 'x'.repeat(size));
    utimesSync(file, atime, mtime);
    const { status, stdout, stderr } = command(directory, 'verify');
    expect(status).toBe(1);
    expect(stdout).toContain(`${names.bundle}: ${file} has the digest `);
    expect(stderr).toBe('one entry is damaged and will be rebuilt by the next build that needs them\n');
    const problems = json(directory, 'verify').filter(({ problem }) => problem !== undefined);
    expect(problems.map(({ name }) => name)).toEqual([names.bundle]);
    const built: string[] = [];
    await smallBuild(directory, inputs, {
      report: (event) => {
        if (event.type === 'stage' && event.status === 'finished') built.push(event.stage);
      },
    });
    expect(built).toEqual(['bundle']);
    expect(command(directory, 'verify').status).toBe(0);
  });

  test('finds what is no entry', async () => {
    const store = await filledStore();
    mkdirSync(join(store, 'entries/rootfs-x'));
    writeFileSync(join(store, 'entries/stray'), '');
    expect(json(store, 'verify').filter(({ problem }) => problem !== undefined)).toHaveLength(2);
  });
});

test('a store of another layout is refused, and left alone', () => {
  const store = join(scratch, 'other-layout');
  mkdirSync(store);
  writeFileSync(join(store, 'layout'), '99\n');
  expect(command(store, 'gc', '--max-size', '0')).toMatchObject({ status: 1 });
  expect(execFileSync('ls', [store], { encoding: 'utf8' })).toBe('layout\n');
});

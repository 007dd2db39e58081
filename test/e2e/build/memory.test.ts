// The file system in memory that stages keep their trees in.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { planStages } from '../../../image-builder/pipeline/plan.ts';
import { runStages } from '../../../image-builder/pipeline/scheduler.ts';
import type { StageImplementation } from '../../../image-builder/pipeline/stage-runner.ts';
import { createLocalSandbox } from '../../../image-builder/sandbox/local-sandbox.ts';
import { roomFor } from '../../../image-builder/sandbox/stage-context.ts';
import { type Memory, openMemory, spareMemory } from '../../../image-builder/sandbox/tmpfs.ts';
import { openStore, prepareStore } from '../../../image-builder/store/store.ts';
import { createWorkspace, treeRemover } from '../../../image-builder/store/workspace.ts';
import { sameCode } from '../../support/same-code.ts';
import { bundleProgram, start } from './programs.ts';

const MIB = 1024 ** 2;
const directory = mkdtempSync(join(tmpdir(), 'memory-'));
const mountpoint = join(directory, 'memory');
let memory: Memory | undefined;

beforeAll(async () => {
  memory = await openMemory(await createLocalSandbox(), mountpoint, 8 * MIB);
});
afterAll(async () => {
  await memory?.close();
  rmSync(directory, { recursive: true, force: true });
});

const opened = (): Memory => {
  if (!memory) throw new Error('this machine has no memory file system for the sandbox');
  return memory;
};

test('commands share it, and nobody else sees it', async () => {
  const { sandbox } = opened();
  const room = await opened().reserve(MIB);
  await sandbox.run(['sh', '-c', `echo kept > ${room}/file; pwd > ${room}/cwd`], { cwd: '/usr' });
  expect(await sandbox.run(['cat', `${room}/file`, `${room}/cwd`])).toBe('kept\n/usr\n');
  expect(await sandbox.run(['id', '-u'])).toBe('0\n');
  expect(readdirSync(mountpoint)).toEqual([]);
  expect(readFileSync(sandbox.hostPath(`${room}/file`), 'utf8')).toBe('kept\n');
  expect(readFileSync('/proc/mounts', 'utf8')).not.toContain(mountpoint);
  opened().free(room as string);
});

test('mounts of a command still end with it', async () => {
  const { sandbox } = opened();
  const room = (await opened().reserve(MIB)) as string;
  await sandbox.run(['mount', '-t', 'tmpfs', 'ends', room]);
  expect(await sandbox.run(['cat', '/proc/mounts'])).not.toContain('ends ');
  opened().free(room);
});

test('no more is set aside than there is', async () => {
  const first = (await opened().reserve(6 * MIB)) as string;
  expect(await opened().reserve(6 * MIB)).toBeUndefined();
  opened().free(first);
  const second = await opened().reserve(6 * MIB);
  expect(second).toBeDefined();
  opened().free(second as string);
});

test('an error of a command that has filled it is known for what it is', async () => {
  const room = (await opened().reserve(MIB)) as string;
  const fill = opened().sandbox.run(['sh', '-ec', `head -c 20M /dev/zero > ${room}/file`]);
  const error = await fill.catch((caught: unknown) => caught);
  expect(await opened().explains(error)).toBe(true);
  opened().free(room);
  expect(await opened().explains(new Error('something else'))).toBe(false);
});

test('extended attributes of users and file capabilities are kept', async () => {
  const room = (await opened().reserve(MIB)) as string;
  const script =
    'import os,sys; f=sys.argv[1]; open(f,"w").close(); os.setxattr(f,"user.x",b"1"); ' +
    'os.setxattr(f,"security.capability",bytes.fromhex("0100000200040000000000000000000000000000")); ' +
    'print(sorted(os.listxattr(f)))';
  const output = await opened().sandbox.run(['python3', '-c', script, `${room}/file`]);
  expect(output).toContain("'security.capability', 'user.x'");
  opened().free(room);
});

test('it does not outlive its process, not even one that is killed', async () => {
  const program = start(bundleProgram('memory-program', directory), [join(directory, 'other')]);
  await program.printed({ is: 'ready' });
  expect(processesThatSee(join(directory, 'other'))).not.toEqual([]);
  program.process.kill('SIGKILL');
  await program.ended;
  for (let attempt = 0; processesThatSee(join(directory, 'other')).length > 0 && attempt < 100; attempt++)
    await new Promise((resolve) => setTimeout(resolve, 20));
  expect(processesThatSee(join(directory, 'other'))).toEqual([]);
});

test('half of what is left may be filled', async () => {
  const total =
    Number(execFileSync('sed', ['-n', 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p', '/proc/meminfo'])) * 1024;
  const spare = await spareMemory();
  expect(spare).toBeGreaterThan(0);
  expect(spare).toBeLessThanOrEqual(total / 2);
});

/** Processes in whose mount namespace something is mounted there. */
function processesThatSee(path: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/mounts`, 'utf8').includes(` ${path} `);
    } catch {
      return false;
    }
  });
}

describe('stages that keep trees in memory', () => {
  const MEMORY = 8 * MIB;

  /** Runs a stage that writes a file of so many bytes into the room that it has asked for, and a stage after it. */
  async function run(bytes: number, name: string) {
    const store = await openStore(join(directory, name));
    await prepareStore(store);
    const sandbox = await createLocalSandbox();
    const workspace = await createWorkspace(store, treeRemover());
    const memory = await openMemory(sandbox, join(workspace.directory, 'memory'), MEMORY);
    const rooms: string[] = [];
    const steps: string[] = [];
    const make: StageImplementation = async ({ context }) => {
      const room = await roomFor(MIB, context);
      rooms.push(room.startsWith(join(workspace.directory, 'memory')) ? 'memory' : 'disk');
      const script = 'head -c "$1" /dev/zero > "$2/file"; cp "$2/file" "$3/file"';
      await context.sandbox.run(['sh', '-euc', script, 'sh', `${bytes}`, room, context.outputDir]);
      return { tree: room };
    };
    const use: StageImplementation = async ({ tree, context }) => {
      await context.sandbox.run(['cp', join(tree ?? '', 'file'), join(context.outputDir, 'file')]);
      return {};
    };
    const stage = { inputs: bytes, tools: [] };
    const plan = planStages(
      [
        { ...stage, name: 'rootfs', kind: 'rootfs', parents: [] },
        { ...stage, name: 'osconfig', kind: 'osconfig', parents: ['rootfs'], treeOf: 'rootfs' },
      ],
      sameCode('memory'),
      {},
    );
    try {
      const { osconfig } = await runStages(plan, ['osconfig'], {
        ...{
          store,
          workspace,
          sandbox,
          build: name,
          sourceDateEpoch: 1,
          signal: new AbortController().signal,
        },
        ...(memory && { memory }),
        implement: ({ kind }) => (kind === 'rootfs' ? make : use),
        report: (event) => {
          if (event.type === 'step') steps.push(event.message);
        },
      });
      const free = (await memory?.reserve(MEMORY)) !== undefined;
      return { size: osconfig?.files.file?.size, rooms, steps, free };
    } finally {
      await memory?.close();
      await workspace.dispose();
    }
  }

  test('hand the tree on, and the memory is free after the last of them', async () => {
    expect(await run(4 * MIB, 'fits')).toEqual({ size: 4 * MIB, rooms: ['memory'], steps: [], free: true });
  });

  /**
   * Runs a stage with a tree of so many bytes, and as many stages that wait for it, two of them at a time.
   * @param others stages that need its result, but not its tree
   */
  async function runWithHeirs(heirs: string[], bytes: number, name: string, others: string[] = []) {
    const store = await openStore(join(directory, name));
    await prepareStore(store);
    const sandbox = await createLocalSandbox();
    const workspace = await createWorkspace(store, treeRemover());
    const memory = await openMemory(sandbox, join(workspace.directory, 'memory'), MEMORY);
    let copies: readonly string[] = [];
    const given: Record<string, string | undefined> = {};
    const seen: string[] = [];
    const make: StageImplementation = async ({ copyTree, context }) => {
      const tree = join(await roomFor(bytes, context), 'tree');
      const script =
        'mkdir "$1"; head -c "$2" /dev/zero > "$1/file"; ln "$1/file" "$1/link"; chmod 640 "$1/file"';
      await context.sandbox.run(['sh', '-euc', script, 'sh', tree, `${bytes / 2}`]);
      copies = await copyTree(tree, bytes);
      return { tree };
    };
    const use: StageImplementation = async ({ stage, tree, context }) => {
      given[stage.name] = tree;
      if (tree === undefined) return {};
      // Each may change its own: what the others see stays as it was.
      const script = 'stat --format="%a %h %s" "$1/file"; rm "$1/file"';
      seen.push((await context.sandbox.run(['sh', '-euc', script, 'sh', tree])).trim());
      return {};
    };
    const stage = { inputs: bytes, tools: [] };
    const plan = planStages(
      [
        { ...stage, name: 'osconfig', kind: 'osconfig', parents: [] },
        ...heirs.map((heir) => {
          const inputs = { bytes, heir };
          return { ...stage, name: heir, kind: 'qcow', inputs, parents: ['osconfig'], treeOf: 'osconfig' };
        }),
        ...others.map((other) => ({ ...stage, name: other, kind: 'bundle', parents: ['osconfig'] })),
      ],
      sameCode('memory'),
      {},
    );
    try {
      await runStages(plan, [...heirs, ...others], {
        ...{ store, workspace, sandbox, build: name, sourceDateEpoch: 1, concurrency: 2 },
        ...(memory && { memory }),
        signal: new AbortController().signal,
        implement: ({ kind }) => (kind === 'osconfig' ? make : use),
        report: () => {},
      });
      const trees = heirs.map((heir) => given[heir]).filter((tree) => tree !== undefined);
      const free = (await memory?.reserve(MEMORY)) !== undefined;
      return { copies: copies.length, trees: new Set(trees).size, seen, free };
    } finally {
      await memory?.close();
      await workspace.dispose();
    }
  }

  const whole = (bytes: number) => `640 2 ${bytes / 2}`;

  test('give each of those that can go on at once a tree of its own', async () => {
    const seen = [whole(2 * MIB), whole(2 * MIB)];
    const answer = { copies: 1, trees: 2, seen, free: true };
    expect(await runWithHeirs(['qcow/a', 'qcow/b'], 2 * MIB, 'two')).toEqual(answer);
    expect(await runWithHeirs(['qcow/a', 'qcow/b', 'qcow/c'], 2 * MIB, 'three')).toEqual(answer);
  });

  test('make no copy for nobody, nor one that there is no memory for', async () => {
    const answer = { copies: 0, trees: 1, free: true };
    expect(await runWithHeirs(['qcow/a'], 2 * MIB, 'one')).toEqual({ ...answer, seen: [whole(2 * MIB)] });
    expect(await runWithHeirs(['qcow/a', 'qcow/b'], 6 * MIB, 'no room')).toEqual({
      ...answer,
      seen: [whole(6 * MIB)],
    });
    expect(await runWithHeirs(['qcow/a'], 2 * MIB, 'a bundle', ['bundle'])).toEqual({
      ...answer,
      seen: [whole(2 * MIB)],
    });
  });

  test('work on the disk when memory turns out to be too small', async () => {
    const steps = ['no space left; run again on disk'];
    expect(await run(20 * MIB, 'large')).toEqual({
      size: 20 * MIB,
      rooms: ['memory', 'disk'],
      steps,
      free: true,
    });
  });
});

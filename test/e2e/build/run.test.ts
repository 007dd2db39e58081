// Running plans: what is built and what is not, what others do meanwhile, and what is left when it goes wrong.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ProgressEvent, Reporter } from '../../../image-builder/base/diagnostics/progress.ts';
import { bundleProgram, start } from './programs.ts';
import { type SmallInputs, smallBuild, smallPlan } from './small-stages.ts';

jest.setTimeout(120_000);

const scratch = mkdtempSync(join(tmpdir(), 'image-builder-test-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
let stores = 0;
const newStore = () => join(scratch, `store-${stores++}`);

const inputs: SmallInputs = { content: 'c', setting: 's', images: { a: '1', b: '2' } };

/** Runs the small build and tells which stages were built. */
async function built(store: string, changed: Partial<SmallInputs> = {}): Promise<string[]> {
  const events: ProgressEvent[] = [];
  await smallBuild(store, { ...inputs, ...changed }, { report: (event) => events.push(event) });
  // In the order of their names: those that can run side by side finish as they like.
  return events
    .flatMap((event) => (event.type === 'stage' && event.status === 'finished' ? [event.stage] : []))
    .sort();
}

function entryFile(store: string, stage: string, file: string): string {
  const planned = smallPlan(inputs).find(({ name }) => name === stage);
  return join(store, 'entries', `${planned?.kind}-${planned?.key}`, file);
}

/** Files of running builds; nothing when all is well. */
const leftovers = (store: string) => readdirSync(join(store, 'work'));

describe('what is built', () => {
  test('everything once, then nothing, then only what a change reaches', async () => {
    const store = newStore();
    expect(await built(store)).toEqual(['bundle', 'osconfig', 'qcow/a', 'qcow/b', 'rootfs']);
    expect(await built(store)).toEqual([]);
    expect(await built(store, { images: { a: '1', b: 'changed' } })).toEqual(['bundle', 'qcow/b']);
    expect(await built(store, { setting: 'changed' })).toEqual(['bundle', 'osconfig', 'qcow/a', 'qcow/b']);
    expect(await built(store)).toEqual([]);
    expect(leftovers(store)).toEqual([]);
  });

  test('the first stage after another goes on with its tree, the others unpack', async () => {
    const store = newStore();
    await smallBuild(store, inputs, { concurrency: 1 });
    const unpacked = (stage: string) =>
      JSON.parse(readFileSync(entryFile(store, stage, 'entry.json'), 'utf8')).facts.unpacked;
    expect(unpacked('osconfig')).toBe(false);
    expect([unpacked('qcow/a'), unpacked('qcow/b')].sort()).toEqual([false, true]);
  });

  test('gives the same bytes from live trees and from the store', async () => {
    const fresh = newStore();
    await smallBuild(fresh, inputs);
    const second = newStore();
    await smallBuild(second, { ...inputs, setting: 'other' });
    await smallBuild(second, inputs);
    const digests = (store: string) => readFileSync(entryFile(store, 'bundle', 'digests'), 'utf8');
    expect(digests(second)).toBe(digests(fresh));
  });
});

describe('damaged entries are built again', () => {
  test.each([
    ['a file is gone', (file: string) => rmSync(file), ['qcow/a']],
    ['a file was cut short', (file: string) => writeFileSync(file, 'x'), ['qcow/a']],
    [
      'a byte has changed, and not even the time stamp tells',
      (file: string) => {
        const { atime, mtime } = statSync(file);
        const bytes = readFileSync(file);
        bytes[600] = (bytes[600] ?? 0) ^ 1;
        writeFileSync(file, bytes);
        utimesSync(file, atime, mtime);
      },
      ['qcow/a'],
    ],
    ['the record is damaged', (file: string) => writeFileSync(join(file, '../entry.json'), '{'), ['qcow/a']],
    ['the record is gone', (file: string) => rmSync(join(file, '../entry.json')), ['qcow/a']],
    ['the whole entry is gone', (file: string) => rmSync(join(file, '..'), { recursive: true }), ['qcow/a']],
  ])('%s', async (_, damage, expected) => {
    const store = newStore();
    await built(store);
    const digests = readFileSync(entryFile(store, 'bundle', 'digests'), 'utf8');
    damage(entryFile(store, 'qcow/a', 'image'));
    rmSync(join(entryFile(store, 'bundle', 'digests'), '..'), { recursive: true });
    expect(await built(store)).toEqual(['bundle', ...expected]);
    expect(readFileSync(entryFile(store, 'bundle', 'digests'), 'utf8')).toBe(digests);
  });
});

describe('several processes', () => {
  const program = bundleProgram('run-small', scratch);

  test('do the work of one, and the others see how far it is', async () => {
    const store = newStore();
    const slow = JSON.stringify({ ...inputs, delay: 0.3 });
    const processes = [1, 2, 3, 4].map(() => start(program, [store, slow]));
    expect(await Promise.all(processes.map(({ ended }) => ended))).toEqual([0, 0, 0, 0]);
    const events = processes.flatMap(({ lines }) => lines);
    const finished = events.filter(({ status }) => status === 'finished').map(({ stage }) => stage);
    expect(finished.sort()).toEqual(['bundle', 'osconfig', 'qcow/a', 'qcow/b', 'rootfs']);
    expect(events.filter(({ status }) => status === 'waiting').length).toBeGreaterThanOrEqual(3);
    expect(events.filter(({ message }) => message === 'make the tree').length).toBeGreaterThan(1);
    expect(new Set(processes.map(({ lines }) => JSON.stringify(lines.at(-1)))).size).toBe(1);
    expect(leftovers(store)).toEqual([]);
  });

  test('take over at once from one that was killed, and remove what it left', async () => {
    const store = newStore();
    const slow = JSON.stringify({ ...inputs, delay: 3 });
    const first = start(program, [store, slow]);
    await first.printed({ message: 'make the tree' });
    const second = start(program, [store, JSON.stringify(inputs)]);
    await second.printed({ stage: 'rootfs', status: 'waiting' });
    first.process.kill('SIGKILL');
    await second.printed({ stage: 'rootfs', status: 'started' });
    expect(await second.ended).toBe(0);
    await built(store);
    await built(store, { setting: 'once more' });
    expect(leftovers(store)).toEqual([]);
  });

  test.each(['SIGINT', 'SIGTERM'] as const)('leave nothing behind after %s', async (signal) => {
    const store = newStore();
    const marker = 7000 + Math.floor(Math.random() * 1000);
    const running = start(program, [store, JSON.stringify({ ...inputs, script: `sleep ${marker}` })]);
    await running.printed({ stage: 'osconfig', status: 'started' });
    await new Promise((resolve) => setTimeout(resolve, 300));
    running.process.kill(signal);
    expect(await running.ended).toBe(1);
    expect(running.lines.at(-1)?.code).toBe('INTERRUPTED');
    expect(leftovers(store)).toEqual([]);
    expect(readdirSync(join(store, 'entries'))).toHaveLength(1);
    expect(() => execFileSync('pgrep', ['-f', `sleep ${marker}`])).toThrow();
  });
});

test('what is stopped since another stage has failed has not failed itself', async () => {
  const ends: string[] = [];
  const report: Reporter = (event) => {
    if (event.type === 'stage' && 'seconds' in event) ends.push(`${event.stage} ${event.status}`);
  };
  const broken = { ...inputs, images: { a: 'x' }, tested: true, delay: 2, test: 'sleep 1; exit 3' };
  await expect(smallBuild(newStore(), broken, { report, concurrency: 4 })).rejects.toThrow();
  expect(ends).toContain('bundle stopped');
  expect(ends.filter((end) => /^boot-test.* failed$/.test(end))).not.toEqual([]);
});

test('a failing stage stops the build, tells its output, and leaves what was finished', async () => {
  const store = newStore();
  await expect(built(store, { script: 'echo the reason; exit 3' })).rejects.toMatchObject({
    code: 'TOOL_FAILED',
    output: ['the reason'],
  });
  expect(leftovers(store)).toEqual([]);
  const logs = readdirSync(join(store, 'logs')).map((log) => readFileSync(join(store, 'logs', log), 'utf8'));
  expect(logs.join('')).toContain('the reason');
  expect(await built(store)).toEqual(['bundle', 'osconfig', 'qcow/a', 'qcow/b']);
});

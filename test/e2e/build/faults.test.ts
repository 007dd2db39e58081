// What the world does to a build: kill -9 at any moment, a full disk, a store that is only read.
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleProgram, type Line, start } from './programs.ts';
import type { SmallInputs } from './small-stages.ts';

jest.setTimeout(600_000);

const scratch = mkdtempSync(join(tmpdir(), 'image-builder-test-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const program = bundleProgram('run-small', scratch);

const inputs: SmallInputs = { content: 'c', setting: 's', images: { a: '1', b: '2' } };

/** Runs the small build to its end; the result is its last line. */
async function buildIn(store: string): Promise<{ result: Line | undefined; milliseconds: number }> {
  const began = performance.now();
  const running = start(program, [store, JSON.stringify(inputs)]);
  await running.ended;
  return { result: running.lines.at(-1), milliseconds: performance.now() - began };
}

test('a build that is killed at any moment is completed by the next one, with the same bytes', async () => {
  const { result, milliseconds } = await buildIn(join(scratch, 'undisturbed'));
  expect(result).toHaveProperty('files');
  const moments = 50;
  const killedIn: Record<string, number> = {};
  for (let moment = 0; moment < moments; moment += 1) {
    const store = join(scratch, `killed-${moment}`);
    const running = start(program, [store, JSON.stringify(inputs)]);
    await new Promise((resolve) => setTimeout(resolve, (milliseconds * (moment + 1)) / moments));
    running.process.kill('SIGKILL');
    await running.ended;
    const reached = running.lines.filter(({ status }) => status === 'started').at(-1)?.stage ?? 'nothing';
    killedIn[String(reached)] = (killedIn[String(reached)] ?? 0) + 1;

    const { result: completed } = await buildIn(store);
    expect(completed).toMatchObject({ key: result?.key, files: result?.files });
    expect(readdirSync(join(store, 'work'))).toEqual([]);
    rmSync(store, { recursive: true });
  }
  // The moments were spread over the whole build.
  expect(Object.keys(killedIn).length).toBeGreaterThanOrEqual(4);
  expect(orphans()).toEqual([]);
});

test('a full disk is called that, and the store stays usable', async () => {
  const mountPoint = join(scratch, 'small-disk');
  mkdirSync(mountPoint);
  // Three megabytes hold the first results, but not all of them.
  const script = `mount -t tmpfs -o size=3m small "$1"; shift
    "$@"; status=$?; ls "$(dirname "$0")" >/dev/null; exit $status`;
  const running = start(
    program,
    [join(mountPoint, 'store'), JSON.stringify({ ...inputs, content: 'twenty-four characters! ' })],
    ['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c', script, 'sh', mountPoint],
  );
  expect(await running.ended).toBe(1);
  expect(running.lines.at(-1)).toMatchObject({ code: 'STORE_FULL' });
  expect(running.lines.at(-1)?.error).toContain(`no space left for the store ${mountPoint}/store`);
});

/** Processes of a build that nobody waits for any more. */
function orphans(): string[] {
  const list = execFileSync('ps', ['-eo', 'ppid=,args='], { encoding: 'utf8' });
  return list.split('\n').filter((line) => /^\s*1 /.test(line) && line.includes(scratch));
}

describe('a store that is only read', () => {
  // Root writes everywhere, so another user reads.
  const asNobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'];
  const asRoot = process.getuid?.() === 0 ? test : test.skip;

  asRoot('serves what it has, and says that it cannot take more', async () => {
    const shared = mkdtempSync('/tmp/image-builder-shared-');
    try {
      const readable = bundleProgram('find-small', shared);
      const store = join(shared, 'store');
      mkdirSync(store);
      await buildIn(store);
      chmodSync(shared, 0o755);
      execFileSync('chmod', ['-R', 'a+rX', shared]);

      const found = start(readable, [store, JSON.stringify(inputs)], asNobody);
      expect(await found.ended).toBe(0);
      expect(found.lines.at(-1)).toMatchObject({ found: true });

      const other = start(
        readable,
        [store, JSON.stringify({ ...inputs, setting: 'x', build: true })],
        asNobody,
      );
      expect(await other.ended).toBe(1);
      expect(other.lines.at(-1)).toMatchObject({ code: 'STORE_READ_ONLY' });
    } finally {
      rmSync(shared, { recursive: true });
    }
  });
});

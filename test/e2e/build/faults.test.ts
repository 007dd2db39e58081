// What the world does to a build: kill -9 at any moment, a full disk, a store that is only read.
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ordinaryUser } from '../support/ordinary-user.ts';
import { bundleProgram, type Line, start } from './programs.ts';
import type { SmallInputs } from './small-stages.ts';

jest.setTimeout(600_000);

const scratch = mkdtempSync(join(tmpdir(), 'image-builder-test-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const program = bundleProgram('run-small', scratch);

const inputs: SmallInputs = { content: 'c', setting: 's', images: { a: '1', b: '2' } };

/** Runs the small build to its end. */
async function buildIn(store: string): Promise<void> {
  await start(program, [store, JSON.stringify(inputs)]).ended;
}

describe('a build that is killed', () => {
  const tested: SmallInputs = { ...inputs, tested: true, delay: 0.05 };
  const stages = [
    'rootfs',
    'osconfig',
    'qcow/a',
    'qcow/b',
    'boot-test/a',
    'boot-test/b',
    'bundle',
    'publish',
  ];
  /** Milliseconds after a stage has begun. */
  const moments = [0, 5, 12, 25, 40, 60, 90];

  const startIn = (directory: string) =>
    start(program, [join(directory, 'store'), JSON.stringify(tested), join(directory, 'layout')]);
  const publishedBy = ({ lines }: { lines: Line[] }) =>
    lines
      .find(({ published }) => published)
      ?.published?.toString()
      .split('@')[1];

  let expected: { result: Line | undefined; digest: string | undefined };
  beforeAll(async () => {
    const undisturbed = startIn(join(scratch, 'undisturbed'));
    expect(await undisturbed.ended).toBe(0);
    expected = { result: undisturbed.lines.at(-1), digest: publishedBy(undisturbed) };
    expect(expected.digest).toMatch(/^sha256:/);
  });

  test.each(stages)('in %s is completed by the next one, with the same bytes', async (stage) => {
    for (const milliseconds of moments) {
      const directory = join(scratch, `killed-${stage.replace('/', '-')}-${milliseconds}`);
      const running = startIn(directory);
      await running.printed({ stage, status: 'started' });
      await new Promise((resolve) => setTimeout(resolve, milliseconds));
      running.process.kill('SIGKILL');
      await running.ended;

      const next = startIn(directory);
      expect(await next.ended).toBe(0);
      expect(next.lines.at(-1)).toMatchObject({ key: expected.result?.key, files: expected.result?.files });
      expect(publishedBy(next)).toBe(expected.digest);
      execFileSync('skopeo', ['inspect', `oci:${join(directory, 'layout')}:v1`]);
      expect(readdirSync(join(directory, 'store/work'))).toEqual([]);
      rmSync(directory, { recursive: true });
    }
    expect(orphans()).toEqual([]);
  });
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

describe('a store of several users', () => {
  const other = ordinaryUser();
  const both = process.getuid?.() === 0 && other ? test : test.skip;
  let shared: string;
  beforeEach(() => {
    shared = mkdtempSync('/tmp/image-builder-shared-');
    chmodSync(shared, 0o755);
  });
  afterEach(() => rmSync(shared, { recursive: true, force: true }));

  /** The command that runs a program as a user with the group of the other one. */
  const as = (uid: number, umask: string) => {
    const group = `${other?.gid}`;
    const user = ['setpriv', `--reuid=${uid}`, `--regid=${group}`, '--clear-groups', '--'];
    return ['sh', '-c', `umask ${umask}; exec "$@"`, 'sh', ...user];
  };
  const request = (store: string, changes: Partial<SmallInputs> = {}) => [
    store,
    JSON.stringify({ ...inputs, delay: 0.2, ...changes }),
  ];

  both('with a common group and umask: the work is done once, by whoever comes first', async () => {
    const store = join(shared, 'store');
    mkdirSync(store);
    chownSync(store, 0, other?.gid ?? 0);
    chmodSync(store, 0o2770);
    const readable = bundleProgram('run-small', shared);
    const processes = [0, other?.uid ?? 0].map((uid) => start(readable, request(store), as(uid, '007')));
    expect(await Promise.all(processes.map(({ ended }) => ended))).toEqual([0, 0]);
    const events = processes.flatMap(({ lines }) => lines);
    const finished = events.filter(({ status }) => status === 'finished').map(({ stage }) => stage);
    expect(finished.sort()).toEqual(['bundle', 'osconfig', 'qcow/a', 'qcow/b', 'rootfs']);
    // Each goes on from what the other has made, and cleans up after it.
    for (const [index, uid] of [other?.uid ?? 0, 0].entries()) {
      const next = start(readable, request(store, { setting: `${index}` }), as(uid, '007'));
      expect(await next.ended).toBe(0);
    }
    expect(readdirSync(join(store, 'work'))).toEqual([]);
  });

  both('without: the second one is told why it cannot build', async () => {
    const store = join(shared, 'store');
    const readable = bundleProgram('run-small', shared);
    mkdirSync(store);
    chmodSync(store, 0o755);
    expect(await start(readable, request(store), as(0, '022')).ended).toBe(0);
    const second = start(readable, request(store, { setting: 'x' }), as(other?.uid ?? 0, '022'));
    expect(await second.ended).toBe(1);
    expect(second.lines.at(-1)).toMatchObject({ code: 'STORE_READ_ONLY' });
  });
});

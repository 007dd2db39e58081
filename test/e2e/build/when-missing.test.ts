// What a render does when its bundle is not there: the function as kustomize runs it, on a store whose only bundle was
// put there without building it. That a build in the background succeeds is shown by build.test.ts.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { BuildSpec } from '../../../image-builder/spec/api/types.ts';
import { executable, run } from '../support/executables.ts';
import { putBundle as putIntoStore, UNREACHABLE } from '../support/put-bundle.ts';
import { startRegistry } from '../support/registry.ts';

jest.setTimeout(300_000);

// Not below a private directory: another user reads it.
const cwd = mkdtempSync('/tmp/image-builder-test-');
const store = join(cwd, 'store');
afterAll(() => rmSync(cwd, { recursive: true, force: true }));

const spec = UNREACHABLE;
const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'kept' } };

async function putBundle(changes: Partial<BuildSpec> = {}): Promise<string> {
  const wanted = { ...spec, ...changes };
  return (await putIntoStore(wanted, { images: Object.keys(wanted.qcows ?? {}) }, { cwd, store })).digest;
}

let digest: string;
beforeAll(async () => {
  digest = await putBundle();
});

const resourceList = (changes: Partial<BuildSpec>) =>
  JSON.stringify({
    apiVersion: 'config.kubernetes.io/v1',
    kind: 'ResourceList',
    items: [secret],
    functionConfig: {
      apiVersion: 'airshipit.org/v1alpha1',
      kind: 'ImageBuilder',
      metadata: { name: 'node', annotations: { 'config.kubernetes.io/path': 'images/node.yaml' } },
      spec: { build: { ...spec, ...changes }, catalogue: { labels: { a: 'b' } } },
    },
  });
const surroundings = {
  cwd,
  env: { ...process.env, IMAGE_BUILDER_STORE: store, IMAGE_BUILDER_BACKGROUND_BUILDS: 'allow' },
};

interface Rendered {
  status: number | null;
  items: { metadata: unknown; bundle?: { image: string; digest: string } }[];
  results: { message: string; field?: { path: string }; tags?: Record<string, string> }[];
}

function rendered(status: number | null, stdout: string): Rendered {
  const { items, results = [] } = parse(stdout);
  return { status, items, results };
}

function render(changes: Partial<BuildSpec>): Rendered {
  const { status, stdout } = run([executable('image-builder-fn')], {
    input: resourceList(changes),
    ...surroundings,
  });
  return rendered(status, stdout);
}

async function renderAside(changes: Partial<BuildSpec>, more: NodeJS.ProcessEnv = {}): Promise<Rendered> {
  const child = spawn(executable('image-builder-fn'), {
    cwd,
    env: { ...surroundings.env, ...more },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  child.stdin.end(resourceList(changes));
  let stdout = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  const [status] = (await once(child, 'close')) as [number];
  return rendered(status, stdout);
}

const codeOf = ({ results }: Rendered) => results[0]?.tags?.code;
const logOf = ({ results }: Rendered) => results[0]?.tags?.log ?? '';
const workDirectories = () => readdirSync(join(store, 'work'));

async function waitFor(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 300));
}

/** Kills the process that a render has left behind. */
function killBackground(log: string): void {
  process.kill(JSON.parse(readFileSync(join(log, '../state.json'), 'utf8')).pid, 'SIGKILL');
}

test.each(['Build', 'Trigger', 'Fail'] as const)(
  '%s answers at once when the bundle is there',
  (whenMissing) => {
    const { status, items, results } = render({ whenMissing });
    expect([status, results]).toEqual([0, []]);
    expect(items[0]).toEqual(secret);
    expect(items.at(-1)).toMatchObject({
      metadata: { name: 'node-artifacts', labels: { a: 'b' } },
      bundle: { image: `oci:${store}/bundles/node:latest@${digest}`, digest },
    });
  },
);

test('a bundle that is published costs a render one request', async () => {
  const registry = await startRegistry();
  const asked: string[] = [];
  const counting = createServer((question, answer) => {
    asked.push(`${question.method} ${question.url}`);
    const { method, url, headers } = question;
    const onward = request(`${registry.url}${url}`, { method, headers }, (response) => {
      answer.writeHead(response.statusCode ?? 500, response.headers);
      response.pipe(answer);
    });
    question.pipe(onward);
  }).listen(0, '127.0.0.1');
  await once(counting, 'listening');
  try {
    const { port } = counting.address() as AddressInfo;
    const published = { bundle: { repository: `127.0.0.1:${port}/site/bundle`, tag: 'v1' } };
    const refused = await renderAside(published);
    expect([refused.status, refused.items]).toEqual([1, [secret]]);
    expect(refused.results).toMatchObject([{ field: { path: 'spec.build.bundle.repository' } }]);
    expect(refused.results[0]?.message).toContain(
      `allow it with IMAGE_BUILDER_PUSH=127.0.0.1:${port}/site/bundle (environment)`,
    );
    const first = await renderAside(published, { IMAGE_BUILDER_PUSH: `127.0.0.1:${port}/site/*` });
    expect(first.items.at(-1)?.bundle).toEqual({
      image: `127.0.0.1:${port}/site/bundle:v1@${digest}`,
      digest,
    });
    asked.splice(0);
    expect(await renderAside(published)).toEqual(first);
    expect(asked).toEqual(['HEAD /v2/site/bundle/manifests/v1']);
  } finally {
    counting.close();
    await registry.stop();
  }
});

describe('Fail', () => {
  test('tells the command, and keeps every item', () => {
    const answer = render({ qcows: { b: {} }, whenMissing: 'Fail' });
    expect(answer).toMatchObject({ status: 1, items: [secret] });
    expect(answer.results).toMatchObject([
      { severity: 'error', field: { path: 'spec.build.whenMissing' }, tags: { code: 'RESULT_MISSING' } },
    ]);
    expect(answer.results[0]?.message).toContain(
      `image-builder build images/node.yaml --when-missing Build --store ${store}`,
    );
    expect(workDirectories()).toEqual([]);
  });

  test('needs no tools, no privileges, no network, no dpkg and no write permission', async () => {
    // Nobody has put this one anywhere yet.
    const unplaced = await putBundle({ qcows: { c: {} } });
    const place = join(cwd, 'place');
    mkdirSync(join(place, 'empty'), { recursive: true });
    cpSync(executable('image-builder-fn'), join(place, 'image-builder-fn.cjs'));
    run(['chmod', '-R', 'a+rX', cwd]);
    chmodSync(cwd, 0o755);
    // As an engine runs the function: nobody, no network, nothing but Node in the image.
    const script = `mount --bind "$1/empty" /var/lib/dpkg
      exec setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs -- \\
        env --ignore-environment PATH="$1/empty" IMAGE_BUILDER_STORE="$2" "$3" "$1/image-builder-fn.cjs"`;
    const asNobody = (changes: Partial<BuildSpec>) => {
      const argv = ['--mount', '--net', 'sh', '-euc', script, 'sh', place, store, process.execPath];
      const input = resourceList({ ...changes, whenMissing: 'Fail' });
      const { status, stdout } = run(['unshare', ...argv], { input, cwd: '/' });
      return rendered(status, stdout);
    };
    expect(asNobody({}).items.at(-1)?.bundle?.digest).toBe(digest);
    const stays = asNobody({ qcows: { c: {} } });
    expect(stays.status).toBe(0);
    expect(stays.items.at(-1)?.bundle?.image).toMatch(
      /^oci:.*\/entries\/bundle-[0-9a-f]{64}\/layout@sha256:/,
    );
    expect(stays.items.at(-1)?.bundle?.digest).toBe(unplaced);
    expect(codeOf(asNobody({ qcows: { b: {} } }))).toBe('RESULT_MISSING');
    // Who names a place wants the bundle there.
    expect(asNobody({ bundle: { layout: join(cwd, 'never') } }).status).toBe(1);
  });

  test('takes what other tools have made', async () => {
    const before = join(store, 'entries');
    const known = new Set(readdirSync(before));
    await putBundle({ qcows: { d: {} } });
    const [name = ''] = readdirSync(before).filter((entry) => !known.has(entry));
    // As if the tools of this machine were others than those that made it.
    const record = JSON.parse(readFileSync(join(before, name, 'entry.json'), 'utf8'));
    const key = 'f'.repeat(64);
    cpSync(join(before, name), join(before, `bundle-${key}`), { recursive: true });
    rmSync(join(before, name), { recursive: true });
    writeFileSync(join(before, `bundle-${key}`, 'entry.json'), JSON.stringify({ ...record, key }));
    writeFileSync(join(store, 'recipes', `bundle-${record.recipe}`), key);
    expect(render({ qcows: { d: {} }, whenMissing: 'Fail' }).status).toBe(0);
  });
});

describe('Trigger', () => {
  test('leaves nothing behind where nobody has allowed it', async () => {
    const wanted = { qcows: { unasked: {} }, whenMissing: 'Trigger' } as const;
    const answer = await renderAside(wanted, { IMAGE_BUILDER_BACKGROUND_BUILDS: '' });
    expect([answer.status, codeOf(answer)]).toEqual([1, 'RESULT_MISSING']);
    expect(answer.results[0]?.message).toMatch(
      /allow it with IMAGE_BUILDER_BACKGROUND_BUILDS=allow .*Or build it with: image-builder build images\/node\.yaml/,
    );
    expect(existsSync(join(store, 'triggers')) ? readdirSync(join(store, 'triggers')) : []).toEqual([]);
  });

  test('leaves one build behind however many renders ask; killed, it is started again, and not for ever', async () => {
    // The mirror accepts the connection and says nothing: the build stays where it is.
    const silent = (await import('node:net')).createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as { port: number };
    const wanted = {
      mirror: `http://127.0.0.1:${port}/debian`,
      qcows: { e: {} },
      whenMissing: 'Trigger',
    } as const;
    try {
      const answers = await Promise.all([1, 2, 3].map(() => renderAside(wanted)));
      expect(answers.map(({ status, items }) => [status, items])).toEqual(answers.map(() => [1, [secret]]));
      expect(answers.map(codeOf).sort()).toEqual(['BUILD_RUNNING', 'BUILD_RUNNING', 'BUILD_TRIGGERED']);
      const log = logOf(answers[0] as Rendered);
      expect(answers[0]?.results[0]?.message).toContain(`tail -f ${log}`);
      await waitFor(() => readFileSync(log, 'utf8').includes('rootfs: started'));
      expect(codeOf(render(wanted))).toBe('BUILD_RUNNING');
      // Vanished: that says nothing about what is wanted.
      for (const _ of ['second', 'third']) {
        killBackground(log);
        await waitFor(() => codeOf(render(wanted)) === 'BUILD_TRIGGERED');
      }
      killBackground(log);
      await waitFor(() => codeOf(render(wanted)) === 'TRIGGERED_BUILD_FAILED');
      expect(render(wanted).results[0]?.message).toContain('ended 3 times without reporting a reason');
      // Somebody else has built it meanwhile.
      await putBundle(wanted);
      expect(render(wanted).status).toBe(0);
    } finally {
      silent.close();
    }
  });

  test('reports a failure with its findings and log, and repeats it when somebody asks', async () => {
    const wanted = { qcows: { f: {} }, whenMissing: 'Trigger' } as const;
    const first = render(wanted);
    expect(codeOf(first)).toBe('BUILD_TRIGGERED');
    await waitFor(() => codeOf(render(wanted)) === 'TRIGGERED_BUILD_FAILED');
    const { results, status, items } = render(wanted);
    expect([status, items]).toEqual([1, [secret]]);
    expect(results[0]?.message).toContain(logOf(first));
    expect(results).toHaveLength(2);
    expect(readFileSync(logOf(first), 'utf8')).toContain('rootfs: failed');
    // Other inputs are another build.
    expect(codeOf(render({ ...wanted, qcows: { g: {} } }))).toBe('BUILD_TRIGGERED');

    const file = join(cwd, 'failing.yaml');
    const { functionConfig } = JSON.parse(resourceList(wanted));
    writeFileSync(file, JSON.stringify(functionConfig));
    const ask = (...argv: string[]) =>
      run([executable('image-builder'), 'build', file, ...argv], surroundings);
    expect(ask().stderr).toContain('has failed');
    expect(ask('--when-missing', 'Trigger').stderr).toContain('a build was started in the background');
    await waitFor(() => codeOf(render(wanted)) === 'TRIGGERED_BUILD_FAILED');
    await waitFor(() => workDirectories().length === 0 || codeOf(render(wanted)) !== 'BUILD_RUNNING');
  });
});

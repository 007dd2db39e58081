// A stranger's spec names a shared store and a key of the stranger's own. What lies there reaches nobody who has not said
// that he believes it, however it is asked for, and whatever is in the local store afterwards.
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { BuildSpec } from '../../../image-builder/spec/api/types.ts';
import { SharedStore } from '../../../image-builder/store/shared/shared-store.ts';
import { executable, run } from '../support/executables.ts';
import { putBundle, UNREACHABLE } from '../support/put-bundle.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';

jest.setTimeout(120_000);

const directory = mkdtempSync(join(tmpdir(), 'image-builder-poison-'));
const cwd = join(directory, 'repository');
const attacker = generateKeyPairSync('ed25519');
const pem = (key: KeyObject) => key.export({ type: 'spki', format: 'pem' }).toString();
const keys = join(directory, 'keys.pem');
let registry: TestRegistry;
let repository: string;
beforeAll(async () => {
  mkdirSync(cwd);
  writeFileSync(keys, pem(attacker.publicKey));
  registry = await startRegistry();
  repository = `${registry.host}/attacker/store`;
  const { entry } = await putBundle(
    UNREACHABLE,
    { k8s_version: '6.6.6' },
    { cwd, store: join(directory, 'evil') },
  );
  const shared = new SharedStore({
    repository,
    trust: { kind: 'registry' },
    signingKey: attacker.privateKey,
    push: true,
    report: () => {},
  });
  expect(await shared.push(entry)).toBe(true);
});
afterAll(async () => {
  await registry.stop();
  rmSync(directory, { recursive: true, force: true });
});

let stores = 0;
const newStore = () => join(directory, `store-${stores++}`);
const object = (changes: Partial<BuildSpec>) => ({
  apiVersion: 'airshipit.org/v1alpha1',
  kind: 'ImageBuilder',
  metadata: { name: 'node' },
  spec: { build: { ...UNREACHABLE, whenMissing: 'Fail', ...changes } },
});

interface Outcome {
  status: number | null;
  stderr: string;
  /** Of the answer, when there is one. */
  version?: string;
}

/** What the function answers under kustomize. */
function render(store: string, changes: Partial<BuildSpec> = {}, env: NodeJS.ProcessEnv = {}): Outcome {
  const list = {
    apiVersion: 'config.kubernetes.io/v1',
    kind: 'ResourceList',
    items: [],
    functionConfig: object(changes),
  };
  const { status, stdout, stderr } = run([executable('image-builder-fn')], {
    cwd,
    input: JSON.stringify(list),
    env: { ...process.env, IMAGE_BUILDER_STORE: store, ...env },
  });
  return { status, stderr, version: parse(stdout).items[0]?.k8s_version };
}

/** What a person gets. */
function build(store: string, changes: Partial<BuildSpec> = {}): Outcome {
  writeFileSync(join(cwd, 'image.yaml'), JSON.stringify(object(changes)));
  const { status, stdout, stderr } = run(
    [executable('image-builder'), 'build', 'image.yaml', '--output', 'json', '--store', store],
    { cwd, env: process.env },
  );
  return { status, stderr, version: stdout === '' ? undefined : JSON.parse(stdout)[0]?.k8s_version };
}

const entriesOf = (store: string): string[] => {
  try {
    return readdirSync(join(store, 'entries'));
  } catch {
    return [];
  }
};
const pullRequest = (
  trust: NonNullable<BuildSpec['store']>['trust'] = { keys: [pem(attacker.publicKey)] },
) => ({
  store: { repository, trust },
});
const MISSING = {
  status: 1,
  version: undefined,
  stderr: expect.stringContaining('the bundle is not built yet'),
};

test.each([
  ['its own key', () => pullRequest()],
  ['everybody who may write there', () => pullRequest({ registry: true })],
])('a render of a spec that wants to believe %s takes nothing', (_, changes) => {
  const store = newStore();
  const outcome = render(store, changes());
  expect(outcome).toEqual(MISSING);
  expect(outcome.stderr).toContain(
    `warning: the shared store ${repository} of the spec is not used; allow it with IMAGE_BUILDER_STORE_REPOSITORY=${repository} (environment)`,
  );
  expect(entriesOf(store)).toEqual([]);
});

test('what the machine believes is taken, and is served to nobody who does not', () => {
  const store = newStore();
  const trusting = { IMAGE_BUILDER_STORE_KEYS: keys };
  expect(render(store, pullRequest(), trusting)).toMatchObject({ status: 0, version: '6.6.6' });
  expect(entriesOf(store)).toHaveLength(1);
  expect(render(store, pullRequest(), trusting)).toMatchObject({ status: 0, version: '6.6.6' });
  // Main, on the same machine and store, where nobody is believed.
  expect(render(store)).toEqual(MISSING);
  expect(render(store, pullRequest())).toEqual(MISSING);
  expect(build(store)).toEqual(MISSING);
  // Nor with another key, or one that the spec does not want.
  const other = pem(generateKeyPairSync('ed25519').publicKey);
  expect(render(store, pullRequest({ keys: [other] }), trusting)).toEqual(MISSING);
  writeFileSync(join(directory, 'other.pem'), other);
  expect(render(store, {}, { IMAGE_BUILDER_STORE_KEYS: join(directory, 'other.pem') })).toEqual(MISSING);
});

test('the registry is believed where the machine says so, under that name only', () => {
  const store = newStore();
  const trusting = { IMAGE_BUILDER_STORE_REPOSITORY: repository, IMAGE_BUILDER_STORE_TRUST: 'registry' };
  expect(render(store, {}, trusting)).toMatchObject({ status: 0, version: '6.6.6' });
  expect(render(store)).toEqual(MISSING);
  expect(
    render(store, {}, { ...trusting, IMAGE_BUILDER_STORE_REPOSITORY: `${registry.host}/other/store` }),
  ).toEqual(MISSING);
});

test("a person's spec speaks for its own key, and for no other build; a registry is believed by nobody's spec", async () => {
  const store = newStore();
  expect(build(store, pullRequest({ registry: true })).stderr).toContain(
    'a spec cannot make everybody trusted',
  );
  expect(entriesOf(store)).toEqual([]);
  expect(build(store, pullRequest())).toMatchObject({ status: 0, version: '6.6.6' });
  expect(build(store)).toEqual(MISSING);
  expect(render(store)).toEqual(MISSING);
  // Who builds it here puts the stranger's aside.
  await putBundle(UNREACHABLE, { k8s_version: '1.32.3' }, { cwd, store });
  expect(render(store)).toMatchObject({ status: 0, version: '1.32.3' });
  expect(render(store, pullRequest(), { IMAGE_BUILDER_STORE_KEYS: keys })).toMatchObject({
    version: '1.32.3',
  });
});

test("an entry that does not say where it comes from is nobody's", async () => {
  const store = newStore();
  await putBundle(UNREACHABLE, { k8s_version: '1.32.3' }, { cwd, store });
  const [name = ''] = entriesOf(store);
  const origin = join(store, 'entries', name, 'origin');
  expect(readFileSync(origin, 'utf8')).toBe('build\n');
  for (const text of ['', 'BUILD', 'key:', 'registry:', 'import me']) {
    writeFileSync(origin, text);
    expect(render(store)).toEqual(MISSING);
  }
  rmSync(origin);
  expect(render(store)).toEqual(MISSING);
});

test('a store that others can write, or that belongs to somebody else, is refused', async () => {
  const store = newStore();
  await putBundle(UNREACHABLE, { k8s_version: '1.32.3' }, { cwd, store });
  chmodSync(store, 0o777);
  expect(render(store).stderr).toMatch(/the store .* is world-writable, so its contents cannot be trusted/);
  chmodSync(store, 0o755);
  expect(render(store)).toMatchObject({ status: 0 });
  run(['chown', '12345', store], {});
  expect(render(store).stderr).toMatch(/belongs to the user 12345, so its contents cannot be trusted/);
});

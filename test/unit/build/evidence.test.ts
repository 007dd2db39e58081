// What is said of a bundle is what the store knows of its very stages.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { evidenceOf } from '../../../image-builder/build/evidence.ts';
import { hashOf } from '../../../image-builder/pipeline/keys.ts';
import { resolveBuild } from '../../../image-builder/spec/variables/resolve.ts';
import { commitEntry, type Entry } from '../../../image-builder/store/entry.ts';
import { ORIGIN_FILE } from '../../../image-builder/store/origin.ts';
import { openStore, prepareStore, type Store } from '../../../image-builder/store/store.ts';

const directory = mkdtempSync(join(tmpdir(), 'image-builder-evidence-'));
afterAll(() => rmSync(directory, { recursive: true }));

let store: Store;
let count = 0;

/** Puts a result of a stage into the store. */
async function commit(
  stage: string,
  parents: Record<string, string>,
  more: { inputs?: object; facts?: Record<string, unknown>; key?: string } = {},
): Promise<Entry> {
  count += 1;
  const key = more.key ?? `${count}`.padStart(64, '0');
  const output = join(store.directory, 'work', `${count}`);
  mkdirSync(output, { recursive: true });
  writeFileSync(join(output, 'result'), stage);
  const provenance = {
    kind: stage.split('/')[0] ?? '',
    key,
    recipe: key,
    stage,
    build: 'test',
    tools: { [`tool-${stage}`]: '1' },
    parents,
    inputs: more.inputs ?? {},
    facts: more.facts ?? {},
  };
  return await commitEntry(store, provenance, output, { seconds: 1 });
}

const JOINED = {
  firmware: 'uefi',
  kubernetes: 'join',
  tests: [{ name: 'ntp runs', script: 'true', timeoutSeconds: 1 }],
};

let bundle: Entry;
beforeAll(async () => {
  store = await openStore(join(directory, 'store'));
  await prepareStore(store);
  const rootfs = await commit('rootfs', {});
  const osconfig = await commit('osconfig', { rootfs: rootfs.key });
  const [a, b, other] = [
    await commit('qcow/a', { osconfig: osconfig.key }),
    await commit('qcow/b', { osconfig: osconfig.key }),
    await commit('qcow/a', { osconfig: 'f'.repeat(64) }),
  ];
  await commit(
    'boot-test/a/uefi',
    { 'qcow/a': a.key },
    {
      inputs: JOINED,
      facts: { seconds: 12.5, accelerator: 'tcg', readySeconds: 41.5 },
    },
  );
  await commit('boot-test/a/bios', { 'qcow/a': a.key }, { inputs: { firmware: 'bios' } });
  // Another disk of the same name has booted: that says nothing about this one.
  await commit('boot-test/b/uefi', { 'qcow/b': other.key }, { inputs: { firmware: 'uefi' } });
  // Nor does a test of somebody who is not believed.
  const foreign = await commit('boot-test/b/bios', { 'qcow/b': b.key }, { inputs: { firmware: 'bios' } });
  writeFileSync(join(foreign.directory, ORIGIN_FILE), 'registry:registry.example.org/anybody');
  bundle = await commit('bundle', { osconfig: osconfig.key, 'qcow/a': a.key, 'qcow/b': b.key });
});

const evidence = async (mirror = 'https://user:secret@deb.example.org/debian') =>
  evidenceOf(
    await resolveBuild('test', { mirror, qcows: { a: {}, b: {} } }, { cwd: directory }),
    store,
    bundle,
    'https://ci.example.org',
  );

test('of the disks in the bundle, those that have booted', async () => {
  expect((await evidence()).bootTests).toEqual([
    { disk: 'a', settings: hashOf({ firmware: 'bios' }), firmware: 'bios', tests: [] },
    {
      disk: 'a',
      settings: hashOf(JOINED),
      firmware: 'uefi',
      seconds: 12.5,
      accelerator: 'tcg',
      readySeconds: 41.5,
      tests: ['kubernetes join', 'ntp runs'],
    },
  ]);
});

test('the keys of all stages, their tools and the repositories, and no login', async () => {
  const { provenance } = await evidence();
  expect(provenance.buildDefinition).toMatchObject({
    buildType: 'https://airshipit.org/image-builder/build/v1',
    externalParameters: { distribution: 'debian-13', qcows: ['a', 'b'] },
  });
  const { keys } = provenance.buildDefinition.internalParameters as { keys: Record<string, string> };
  expect(Object.keys(keys)).toEqual(['bundle', 'osconfig', 'qcow/a', 'qcow/b', 'rootfs']);
  expect(provenance.runDetails).toMatchObject({
    builder: { id: 'https://ci.example.org', version: { 'tool-rootfs': '1', 'tool-bundle': '1' } },
  });
  const text = JSON.stringify(provenance);
  expect(text).toContain('https://deb.example.org/debian');
  expect(text).not.toContain('secret');
  expect(text.length).toBeLessThan(8192);
});

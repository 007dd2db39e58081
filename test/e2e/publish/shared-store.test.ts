// Several machines, one registry: who has to build, and what is believed of what lies there.
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pushImage } from '../../../image-builder/oci/distribution/push.ts';
import { parseReference, type RegistryReference } from '../../../image-builder/oci/reference.ts';
import { checkEntry, commitEntry, type Entry, entryName } from '../../../image-builder/store/entry.ts';
import { toArtifact } from '../../../image-builder/store/shared/artifact.ts';
import { EntrySource } from '../../../image-builder/store/shared/entry-source.ts';
import { SharedStore, type SharedStoreOptions } from '../../../image-builder/store/shared/shared-store.ts';
import { signRecord, type TrustPolicy } from '../../../image-builder/store/shared/trust.ts';
import { openStore, prepareStore, type Store } from '../../../image-builder/store/store.ts';
import { freePort, startRegistry, type TestRegistry } from '../support/registry.ts';

let directory: string;
let registry: TestRegistry;
const ci = generateKeyPairSync('ed25519');
const stranger = generateKeyPairSync('ed25519');
const trusting = (...keys: KeyObject[]): TrustPolicy => ({ kind: 'keys', keys });
const steps: string[] = [];
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'image-builder-shared-'));
  registry = await startRegistry();
});
beforeEach(() => steps.splice(0));
afterAll(async () => {
  await registry.stop();
  await rm(directory, { recursive: true, force: true });
});

function machine(changes: Partial<SharedStoreOptions> = {}): SharedStore {
  return new SharedStore({
    repository: `${registry.host}/site/store`,
    trust: trusting(ci.publicKey),
    push: true,
    report: (event) => {
      if (event.type === 'step') steps.push(event.message);
    },
    limits: { retries: 0, retryDelay: 1 },
    ...changes,
  });
}
const builder = (changes: Partial<SharedStoreOptions> = {}) =>
  machine({ signingKey: ci.privateKey, ...changes });

async function newStore(): Promise<Store> {
  const store = await openStore(await mkdtemp(join(directory, 'store-')));
  await prepareStore(store);
  return store;
}

let made = 0;
/** An entry of a key of its own, with a file in a directory. */
async function makeEntry(content = 'content', kind = 'rootfs'): Promise<Entry> {
  made += 1;
  const id = { kind, key: made.toString(16).padStart(64, '0'), recipe: made.toString(16).padStart(64, 'f') };
  const store = await newStore();
  const output = join(store.directory, 'work', 'output');
  await mkdir(join(output, 'layout'), { recursive: true });
  await writeFile(join(output, 'tree.tar'), content.repeat(10_000));
  await writeFile(join(output, 'layout/empty'), '');
  const provenance = { ...id, stage: kind, build: 'x', tools: {}, parents: {}, inputs: {}, facts: { a: 1 } };
  return await commitEntry(store, provenance, output, { seconds: 1 });
}

/** Pulls into a new store. */
async function pull(entry: Entry, by: 'key' | 'recipe', from: SharedStore): Promise<Entry | undefined> {
  const store = await newStore();
  const pulled = await from.pull(entry, by, store, join(store.directory, 'work'));
  expect(await readdir(join(store.directory, 'work'))).toEqual([]);
  const entries = await readdir(join(store.directory, 'entries'));
  expect(entries).toEqual(pulled ? [entryName(pulled)] : []);
  if (pulled) await checkEntry(pulled, 'full');
  return pulled;
}

/** Puts something else under the tag of an entry. */
async function plant(
  entry: Entry,
  content: Entry,
  key: KeyObject | undefined,
  edit = (text: string) => text,
) {
  const artifact = toArtifact(content, (digest) => key && signRecord(digest, key));
  const manifest = Buffer.from(edit(artifact.manifest.toString('utf8')));
  const target = parseReference(`${registry.host}/site/store:${entryName(entry)}`) as RegistryReference;
  await pushImage(new EntrySource('planted', { ...artifact, manifest }), target, { report: () => {} });
}

test.each(['key', 'recipe'] as const)('what one machine has built another gets by its %s', async (by) => {
  const entry = await makeEntry();
  await builder().push(entry);
  const pulled = await pull(entry, by, machine());
  expect(pulled).toMatchObject({ key: entry.key, facts: { a: 1 }, files: entry.files });
  expect(await readFile(join(pulled?.directory ?? '', 'tree.tar'), 'utf8')).toBe('content'.repeat(10_000));
});

test('what is not there is no warning', async () => {
  expect(await pull(await makeEntry(), 'key', machine())).toBeUndefined();
  expect(steps).toEqual([]);
});

test('the first result stays when a second machine has built another one', async () => {
  const first = await makeEntry('first');
  const store = await newStore();
  const output = join(store.directory, 'work', 'output');
  await mkdir(output);
  await writeFile(join(output, 'tree.tar'), 'second');
  const second = await commitEntry(store, first, output, { seconds: 1 });
  await builder().push(first);
  await Promise.all([builder().push(second), builder().push(second)]);
  expect((await pull(first, 'key', machine()))?.files).toEqual(first.files);
});

test('an ISO is never shared', async () => {
  const iso = await makeEntry('secret', 'iso');
  await builder().push(iso);
  expect(steps).toEqual([]);
  expect(await pull(iso, 'key', machine({ trust: { kind: 'registry' } }))).toBeUndefined();
});

describe('hostile content', () => {
  const refused = async (entry: Entry, reason: RegExp, from = machine()) => {
    expect(await pull(entry, 'key', from)).toBeUndefined();
    expect(steps.join('\n')).toMatch(reason);
  };

  test('unsigned, unless the registry itself is trusted', async () => {
    const entry = await makeEntry();
    await machine().push(entry);
    steps.splice(0);
    await refused(entry, /not signed/);
    expect(await pull(entry, 'key', machine({ trust: { kind: 'registry' } }))).toMatchObject({
      key: entry.key,
    });
    await builder().push(entry);
    expect(await pull(entry, 'key', machine())).toMatchObject({ key: entry.key });
  });

  test('signed by a key that is not trusted', async () => {
    const entry = await makeEntry();
    await builder({ signingKey: stranger.privateKey }).push(entry);
    await refused(entry, /is not trusted/);
  });

  test('without any trusted key the registry is not even asked', async () => {
    const entry = await makeEntry();
    await builder().push(entry);
    await registry.kill();
    try {
      expect(await pull(entry, 'key', machine({ trust: trusting() }))).toBeUndefined();
      expect(steps.filter((step) => step.startsWith('warning'))).toEqual([]);
    } finally {
      await registry.start();
    }
  });

  test.each([true, false])('the rightly signed content of another key (trust registry: %s)', async (all) => {
    const [wanted, other] = [await makeEntry(), await makeEntry('other')];
    await plant(wanted, other, ci.privateKey);
    await refused(wanted, /it is rootfs-/, machine(all ? { trust: { kind: 'registry' } } : {}));
  });

  test('a signature of another record', async () => {
    const [entry, other] = [await makeEntry(), await makeEntry('other')];
    const foreign = toArtifact(other, (digest) => signRecord(digest, ci.privateKey));
    const { annotations } = JSON.parse(foreign.manifest.toString('utf8'));
    await plant(entry, entry, stranger.privateKey, (text) =>
      JSON.stringify({ ...JSON.parse(text), annotations }),
    );
    await refused(entry, /signature is invalid/);
  });

  test('a manifest that lists other files than the signed record', async () => {
    const [entry, other] = [await makeEntry('never pushed'), await makeEntry('other')];
    const { layers } = JSON.parse(toArtifact(other, () => undefined).manifest.toString('utf8'));
    await builder().push(other);
    await plant(entry, entry, ci.privateKey, (text) => JSON.stringify({ ...JSON.parse(text), layers }));
    // The record's own file was never uploaded: there is nothing to take.
    expect(await pull(entry, 'key', machine())).toBeUndefined();
  });

  test('files that leave the entry', async () => {
    const entry = await makeEntry();
    const files = { '../../escaped': Object.values(entry.files)[0] } as Entry['files'];
    const artifact = toArtifact({ ...entry, files }, (digest) => signRecord(digest, ci.privateKey));
    const source = new EntrySource('planted', {
      ...artifact,
      files: new Map(
        [...artifact.files.keys()].map((digest) => [
          digest,
          join(entry.directory, Object.keys(entry.files)[0] ?? ''),
        ]),
      ),
    });
    const target = parseReference(`${registry.host}/site/store:${entryName(entry)}`) as RegistryReference;
    await pushImage(source, target, { report: () => {} });
    await refused(entry, /escaped/);
  });

  test('a blob that was changed in the storage of the registry', async () => {
    const entry = await makeEntry('unique');
    await builder().push(entry);
    const digest = entry.files['tree.tar']?.sha256 ?? '';
    const blob = join(
      registry.storage,
      'docker/registry/v2/blobs/sha256',
      digest.slice(0, 2),
      digest,
      'data',
    );
    await writeFile(blob, 'changed'.repeat(8571).slice(0, 60_000));
    await refused(entry, /cannot be used/);
  });

  test('something that is no entry at all', async () => {
    const entry = await makeEntry();
    await plant(entry, entry, ci.privateKey, (text) => text.replace('entry.v1+json', 'other.v1+json'));
    await refused(entry, /not an entry of a store/);
  });
});

describe('a registry that fails costs time only', () => {
  test('nobody listens', async () => {
    const entry = await makeEntry();
    const offline = builder({ repository: `127.0.0.1:${await freePort()}/site/store` });
    expect(await pull(entry, 'key', offline)).toBeUndefined();
    await offline.push(entry);
    // Said once, and not tried again.
    expect(steps).toEqual([expect.stringMatching(/cannot be used: .*refuses connections/)]);
  });

  test('no permission', async () => {
    const guarded = await startRegistry({ htpasswd: { username: 'ci', password: 'secret' } });
    try {
      const outsider = builder({ repository: `${guarded.host}/site/store`, environment: {} });
      expect(await pull(await makeEntry(), 'key', outsider)).toBeUndefined();
      expect(steps).toEqual([expect.stringMatching(/cannot be used: .*requires authentication/)]);
    } finally {
      await guarded.stop();
    }
  });

  test('a cancelled pull is cancelled, not a warning', async () => {
    const entry = await makeEntry();
    await builder().push(entry);
    const aborted = AbortSignal.abort(new Error('stop'));
    await expect(pull(entry, 'key', machine({ signal: aborted }))).rejects.toMatchObject({
      code: 'CANCELLED',
    });
  });
});

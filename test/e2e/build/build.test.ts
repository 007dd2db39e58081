// Whole builds of a small Debian from the machine's mirror, and all that does not build anything afterwards.
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse } from 'yaml';
import { examine, type TrustPolicy } from '../../../image-builder/attestation/policy.ts';
import { PREDICATES } from '../../../image-builder/attestation/statement.ts';
import { trustPolicy } from '../../../image-builder/attestation/trust-policy.ts';
import type { ProgressEvent } from '../../../image-builder/base/diagnostics/progress.ts';
import { build } from '../../../image-builder/build/build.ts';
import { findStatements } from '../../../image-builder/bundle/evidence/find-statements.ts';
import { verifyBundle } from '../../../image-builder/bundle/evidence/verify.ts';
import type { BundleContents } from '../../../image-builder/bundle/model.ts';
import { readBundle } from '../../../image-builder/bundle/read/read-bundle.ts';
import { readSbom } from '../../../image-builder/bundle/read/read-sbom.ts';
import { openSource } from '../../../image-builder/oci/open.ts';
import { parseReference } from '../../../image-builder/oci/reference.ts';
import type { BuildSpec } from '../../../image-builder/spec/api/types.ts';
import { resolveBuild } from '../../../image-builder/spec/variables/resolve.ts';
import { PERSON } from '../../support/policies.ts';
import { executable, run as runProcess } from '../support/executables.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';
import { readByTrivy, validateSpdx } from '../support/sbom-readers.ts';
import { bundleProgram, start } from './programs.ts';

jest.setTimeout(900_000);

const cwd = mkdtempSync(join(tmpdir(), 'image-builder-test-'));
const store = join(cwd, 'store');
afterAll(() => rmSync(cwd, { recursive: true, force: true }));

const spec: BuildSpec = {
  distribution: 'debian-13',
  rootfs: {
    multistrap: {
      kernel_base_pkg: 'linux-image-cloud-amd64',
      kernel_headers_pkg: '',
      packages: ['systemd-sysv', 'dbus'],
    },
    osconfig: {
      user_management: [
        { name: 'keeper', password_hash: '$6$salt$aGFzaA' },
        { name: 'guard', run_contexts: ['common'] },
      ],
    },
  },
  qcows: { a: { qcow: { qcow_capacity: '4G' } }, b: { qcow: { qcow_capacity: '5G' } } },
  bundle: { layout: 'out', tag: 'v1' },
};

/** What the newest run has told. */
let steps: string[] = [];

interface Outcome {
  contents: BundleContents;
  /** Names of the stages that ran. */
  built: string[];
}

async function run(changes: Partial<BuildSpec> = {}, name = 'small', at = store): Promise<Outcome> {
  const events: ProgressEvent[] = [];
  const resolved = await resolveBuild(name, { ...spec, ...changes }, { cwd });
  const contents = await build(resolved, {
    cwd,
    policy: PERSON,
    store: at,
    env: { ...process.env, IMAGE_BUILDER_SIGNING_KEY: join(cwd, 'key.pem') },
    report: (event) => events.push(event),
    signal: new AbortController().signal,
  });
  const built = events.flatMap((event) =>
    event.type === 'stage' && event.status === 'finished' ? [event.stage] : [],
  );
  steps = events.flatMap((event) => (event.type === 'step' ? [event.message] : []));
  return { contents, built: built.sort() };
}

let first: Outcome;
let registry: TestRegistry;
beforeAll(async () => {
  registry = await startRegistry();
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  writeFileSync(join(cwd, 'key.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const keys = [publicKey.export({ type: 'spki', format: 'pem' }).toString()];
  spec.store = { repository: `${registry.host}/site/store`, trust: { keys } };
  first = await run();
});
afterAll(() => registry.stop());

/** The object as the function gets it. */
const imageBuilder = (changes: Partial<BuildSpec>, { name = 'small', catalogue = {} } = {}) => ({
  apiVersion: 'airshipit.org/v1alpha1',
  kind: 'ImageBuilder',
  metadata: { name },
  spec: { build: { ...spec, ...changes }, catalogue },
});
const resourceList = (changes: Partial<BuildSpec>, given: RenderInput = {}) => ({
  apiVersion: 'config.kubernetes.io/v1',
  kind: 'ResourceList',
  items: given.items ?? [],
  functionConfig: imageBuilder(changes, given),
});
const options = () => ({ cwd, env: { ...process.env, IMAGE_BUILDER_STORE: store } });

interface RenderInput {
  name?: string;
  catalogue?: object;
  items?: object[];
}

interface Rendered {
  status: number | null;
  items: unknown[];
  results: { message: string; tags?: Record<string, string> }[];
}

function rendered(status: number | null, stdout: string): Rendered {
  const { items, results = [] } = parse(stdout);
  return { status, items, results };
}

/** Runs the function as kustomize does. */
function render(changes: Partial<BuildSpec>, given: RenderInput = {}): Rendered {
  const input = JSON.stringify(resourceList(changes, given));
  const { status, stdout } = runProcess([executable('image-builder-fn')], { input, ...options() });
  return rendered(status, stdout);
}

/** What builds leave in their work directories; nothing when all is well. */
const leftovers = () => readdirSync(join(store, 'work'));

test('the first build runs every stage and writes the bundle where the spec says', () => {
  expect(first.built).toEqual(['bundle', 'osconfig', 'qcow/a', 'qcow/b', 'rootfs']);
  expect(first.contents.reference.image).toBe(`oci:out:v1@${first.contents.reference.digest}`);
  const inspected = JSON.parse(execFileSync('skopeo', ['inspect', 'oci:out:v1'], { cwd, encoding: 'utf8' }));
  expect(inspected.Digest).toBe(first.contents.reference.digest);
  expect(first.contents.artifacts.qcows.a).toMatchObject({ file: 'a.qcow2', virtualSize: 4 * 2 ** 30 });
  expect(leftovers()).toEqual([]);
});

test('the image in the bundle is a sound QCOW2 with the checksums that the catalogue tells', () => {
  execFileSync('umoci', ['unpack', '--rootless', '--image', 'out:v1', 'unpacked'], { cwd });
  const file = join(cwd, 'unpacked/rootfs/qcows/b.qcow2');
  const info = JSON.parse(execFileSync('qemu-img', ['check', '--output=json', file], { encoding: 'utf8' }));
  expect(info['check-errors']).toBe(0);
  const sum = execFileSync('sha512sum', [file], { encoding: 'utf8' }).split(' ')[0];
  expect(first.contents.artifacts.qcows.b?.sha512).toBe(sum);
  const packages = JSON.parse(readFileSync(join(cwd, 'unpacked/rootfs/manifests/packages.json'), 'utf8'));
  expect(packages['systemd-sysv'].version).toMatch(/^\d/);
});

test('each disk has a bill of materials that scanners understand: every package with its source, file and place', async () => {
  const files = Object.values(first.contents.artifacts.qcows);
  const documents = await Promise.all(
    files.map(({ file }) => readSbom(`oci:${join(cwd, 'out')}:v1`, file, {})),
  );
  for (const [index, content] of documents.entries()) {
    const document = JSON.parse(content.toString());
    const debs = document.packages.filter((one: { SPDXID: string }) =>
      one.SPDXID.startsWith('SPDXRef-Package-'),
    );
    expect(document.packages[0].checksums[0].checksumValue).toBe(files[index]?.sha256);
    expect(debs.length).toBeGreaterThan(100);
    for (const { checksums, downloadLocation } of debs) {
      expect(checksums[0].checksumValue).toMatch(/^[0-9a-f]{64}$/);
      expect(downloadLocation).toMatch(/^https?:.*\/pool\/.*\.deb$/);
    }
    const path = join(cwd, `${index}.spdx.json`);
    writeFileSync(path, content);
    expect(validateSpdx(path)).toBe('');
    const { os, packages } = readByTrivy(content.toString());
    expect(os).toMatchObject({ Family: 'debian', Name: '13' });
    expect(packages).toHaveLength(debs.length);
    expect(packages.find(({ name }) => name === 'libsystemd0')?.source).toBe('systemd');
    expect(packages.every(({ source }) => source)).toBe(true);
  }
});

test('scan finds in it what a database has of a package that is installed, and nothing else', () => {
  const scan = (fixed: string, ...more: string[]) => {
    const record = {
      id: 'DEBIAN-CVE-2026-1',
      affected: [
        {
          package: { ecosystem: 'Debian:13', name: 'dpkg' },
          ranges: [{ type: 'ECOSYSTEM', events: [{ introduced: '0' }, { fixed }] }],
          ecosystem_specific: { urgency: 'high' },
        },
      ],
    };
    writeFileSync(join(cwd, 'database.json'), JSON.stringify(record));
    const database = ['--database', 'database.json', '--fail-on', 'high', '--output', 'json'];
    return runProcess([executable('image-builder'), 'scan', 'oci:out:v1', ...database, ...more], options());
  };
  const { status, stdout } = scan('999');
  expect(status).toBe(2);
  expect(JSON.parse(stdout)).toMatchObject({
    vulnerabilities: [{ id: 'CVE-2026-1', packages: ['dpkg'], disks: ['a.qcow2', 'b.qcow2'] }],
  });
  expect(scan('0.1').status).toBe(0);
  writeFileSync(
    join(cwd, 'second.pub'),
    generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }),
  );
  expect(scan('0.1', '--key', 'second.pub').stderr).toContain('[TRUST_MISSING]');
});

test('the profiles tell every variable and no secret', () => {
  const profiles = first.contents.profiles.map(({ name, json }) => [name, JSON.parse(json)]);
  expect(profiles.map(([name]) => name)).toEqual(['profile_multistrap', 'profile_qcow_a', 'profile_qcow_b']);
  expect(profiles[0]?.[1]).toMatchObject({
    rootfs_arch: 'amd64',
    user_management: [{ name: 'keeper' }, { name: 'guard' }],
    installed_versions: { systemd: expect.stringMatching(/^\d/) },
  });
  expect(profiles[2]?.[1]).toMatchObject({ qcow_capacity: '5G' });
  const text = JSON.stringify(first.contents);
  expect(text).not.toContain('aGFzaA');
  expect(text).not.toContain(cwd);
});

describe('nothing is built', () => {
  test('when nothing has changed', async () => {
    const again = await run();
    expect(again.built).toEqual([]);
    expect(again.contents).toEqual(first.contents);
  });

  test('when the tag changes: the layout has both then', async () => {
    const { built, contents } = await run({ bundle: { layout: 'out', tag: 'v2' } });
    expect(built).toEqual([]);
    expect(contents.reference.digest).toBe(first.contents.reference.digest);
    for (const tag of ['v1', 'v2']) execFileSync('skopeo', ['inspect', `oci:out:${tag}`], { cwd });
  });

  test('when the build is renamed, or its layout moves or was removed', async () => {
    expect((await run({}, 'renamed')).built).toEqual([]);
    expect((await run({ bundle: { tag: 'v1' } })).contents.reference.image).toContain(
      `${store}/bundles/small`,
    );
    rmSync(join(cwd, 'out'), { recursive: true });
    expect((await run()).built).toEqual([]);
    execFileSync('skopeo', ['inspect', 'oci:out:v1'], { cwd });
  });

  test('when a blob of the layout was removed: it is put back', async () => {
    const blobs = join(cwd, 'out/blobs/sha256');
    for (const blob of readdirSync(blobs)) rmSync(join(blobs, blob));
    expect((await run()).built).toEqual([]);
    execFileSync('skopeo', ['copy', 'oci:out:v1', 'oci:copy:v1'], { cwd });
  });

  test.each(['its own store', 'the shared store'])(
    'on a machine without tools and dpkg, out of %s',
    async (from) => {
      const isOwn = from === 'its own store';
      const path = join(cwd, isOwn ? 'empty' : 'only-flock');
      mkdirSync(path);
      // What comes from elsewhere is put in place under a lock.
      if (!isOwn) symlinkSync('/usr/bin/flock', join(path, 'flock'));
      const program = bundleProgram('build-program', cwd);
      // As in a container with nothing but the function.
      const script = 'mount --bind "$1" /var/lib/dpkg; PATH="$1"; export PATH; shift; exec "$@"';
      const running = start(
        program,
        [
          isOwn ? store : join(cwd, 'bare-store'),
          'small',
          JSON.stringify({ ...spec, bundle: { tag: 'v1' } }),
        ],
        ['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c', script, 'sh', path],
      );
      expect(await running.ended).toBe(0);
      expect(running.lines.at(-1)?.contents).toMatchObject({
        reference: { digest: first.contents.reference.digest },
      });
    },
  );
});

describe('a machine with an empty store', () => {
  test('builds only what no machine has built', async () => {
    const qcows = { ...spec.qcows, b: { qcow: { qcow_capacity: '7G' } } };
    const { built, contents } = await run({ qcows }, 'small', join(cwd, 'second-store'));
    expect(built).toEqual(['bundle', 'qcow/b']);
    expect(contents.artifacts.qcows.a).toEqual(first.contents.artifacts.qcows.a);
  });

  test('builds nothing that is there, also when several begin at once', async () => {
    const stores = ['third-store', 'third-store', 'fourth-store'].map((name) => join(cwd, name));
    const outcomes = await Promise.all(
      stores.map((at) => run({ bundle: { layout: 'out', tag: 'v1' } }, 'small', at)),
    );
    expect(outcomes).toEqual(stores.map(() => ({ contents: first.contents, built: [] })));
  });
});

test('a bundle that goes to a registry is pushed, and what is pushed is what was built', async () => {
  const bundle = { repository: `${registry.host}/site/bundle`, tag: 'v1', disks: true, attest: {} };
  const { built, contents } = await run({ bundle });
  expect(built).toEqual([]);
  expect(contents.reference.image).toBe(`${bundle.repository}:v1@${contents.reference.digest}`);
  const read = await readBundle(`${bundle.repository}:v1`, { cache: false });
  expect(read.artifacts).toEqual(contents.artifacts);
  expect(read.reference).toEqual(contents.reference);
  expect(await run({ bundle })).toEqual({ built, contents });
  // What it was built from is said by the key of whoever has built it.
  const keys = spec.store?.trust?.keys ?? [];
  const policy = trustPolicy({ keys, require: ['signature', 'provenance', 'sbom'] }, 'keys');
  const found = await verifyBundle(`${bundle.repository}:v1`, [policy], { cache: false });
  expect(found.trusted.map(({ kind }) => kind).sort()).toEqual(['provenance', 'sbom', 'sbom', 'signature']);
  const provenance = await provenanceOf(contents.reference.image, policy);
  expect(Object.keys(provenance.buildDefinition.internalParameters.keys)).toEqual([
    ...['bundle', 'osconfig', 'qcow/a', 'qcow/b', 'rootfs'],
  ]);
  expect(provenance.runDetails).toMatchObject({
    builder: { id: 'https://airshipit.org/image-builder', version: { mmdebstrap: expect.any(String) } },
    byproducts: [{ name: 'a.spdx.json' }, { name: 'b.spdx.json' }],
  });
});

test('whoever has only what is published builds the same bytes from it, and can say so with a key', () => {
  const reference = `${registry.host}/site/bundle:v1`;
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  writeFileSync(join(cwd, 'second.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
  writeFileSync(join(cwd, 'second.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
  writeFileSync(join(cwd, 'first.pub'), (spec.store?.trust?.keys ?? []).join('\n'));
  const verify = (...more: string[]) =>
    runProcess([executable('image-builder'), 'verify', reference, '--key', 'first.pub', ...more], {
      cwd,
      env: {
        ...process.env,
        IMAGE_BUILDER_STORE: join(cwd, 'nobodys', 'store'),
        IMAGE_BUILDER_CACHE: join(cwd, 'cache'),
      },
    });
  const both = ['second.pub', '--threshold', '2'];
  expect(verify(...both).status).toBe(1);
  // A password's hash is no more in it than in the profiles.
  const field = 'spec.build.rootfs.osconfig.user_management[0].password_hash';
  expect(verify('--rebuild').stderr).toContain(`[REBUILD_NEEDS_SECRETS]\n  | ${field}`);
  const [admin] = spec.rootfs?.osconfig?.user_management ?? [];
  const rebuild = (hash: string | undefined) => {
    writeFileSync(join(cwd, 'secrets.yaml'), JSON.stringify({ [field]: hash }));
    const options = ['--secrets', 'secrets.yaml', '--sign-key', 'second.pem', '--output', 'json'];
    return verify('--rebuild', ...options);
  };
  expect(rebuild('$6$another').stderr).toContain('[REBUILD_OTHER_BUILD]');
  const { status, stdout, stderr } = rebuild(admin?.password_hash);
  expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
  expect(stderr).toContain('the scripts of that description run in the sandbox of this machine');
  // The index, the config, the layers of base, disks, checksums and profiles, two disks, two bills of materials.
  expect(JSON.parse(stdout).rebuild).toEqual({ same: expect.any(Number), different: [], tools: [] });
  expect(JSON.parse(stdout).rebuild.same).toBeGreaterThanOrEqual(10);
  expect(verify(...both).stdout).toContain('rebuiltBy=https://airshipit.org/image-builder');
  expect(readdirSync(join(cwd, 'nobodys'))).toEqual([]);
});

/** The predicate that one of the keys has signed. */
async function provenanceOf(reference: string, { keys }: TrustPolicy) {
  const source = await openSource(parseReference(reference));
  try {
    const { descriptor } = await source.root();
    for await (const found of findStatements(source, descriptor.digest, new Set([PREDICATES.provenance]))) {
      if ('problem' in found) continue;
      const [trusted] = examine([found], descriptor.digest, keys).trusted;
      if (trusted) return JSON.parse(JSON.stringify(trusted.statement.predicate));
    }
    throw new Error('no provenance');
  } finally {
    await source.close();
  }
}

test('the catalogue is named and labelled without building', () => {
  const catalogue = { labels: { a: 'b' }, imageBaseURL: 'http://192.0.2.1' };
  const { status, items } = render({ bundle: { tag: 'v1' } }, { name: 'other-name', catalogue });
  expect(status).toBe(0);
  const last = items.at(-1) as { metadata: unknown; bundle: { digest: string } };
  expect(last.metadata).toEqual({ name: 'other-name-artifacts', labels: { a: 'b' } });
  expect(last.bundle.digest).toBe(first.contents.reference.digest);
});

test('a change of an osconfig variable builds from there, not the root file system', async () => {
  const osconfig = { ...spec.rootfs?.osconfig, banners: { login: 'changed\n' } };
  const { built } = await run({ rootfs: { ...spec.rootfs, osconfig }, bundle: { tag: 'v1' } });
  expect(built).toEqual(['bundle', 'osconfig', 'qcow/a', 'qcow/b']);
  expect(leftovers()).toEqual([]);
});

test('plan shows what is in the store, and what changed for what is not', () => {
  const changed = { ...spec.rootfs?.osconfig, banners: { login: 'planned\n' } };
  const object = imageBuilder({ rootfs: { ...spec.rootfs, osconfig: changed } });
  const plan = (output: string) => {
    const input = JSON.stringify(object);
    return runProcess([executable('image-builder'), 'plan', '-', '--output', output], {
      input,
      ...options(),
    }).stdout;
  };
  const stages: { stage: string; key: string; cached: boolean; reasons?: unknown }[] = JSON.parse(
    plan('json'),
  );
  expect(stages.map(({ stage, cached }) => [stage, cached])).toEqual([
    ['rootfs', true],
    ['osconfig', false],
    ['qcow/a', false],
    ['qcow/b', false],
    ['bundle', false],
  ]);
  expect(readdirSync(join(store, 'entries'))).toContain(`rootfs-${stages[0]?.key}`);
  expect(stages[0]?.reasons).toBeUndefined();
  expect(stages[1]?.reasons).toMatchObject({
    // Against the newest build of the name, the one before.
    changes: [{ path: 'osconfig.banners.login', before: 'changed\n', after: 'planned\n' }],
  });
  expect(stages[2]?.reasons).toMatchObject({ changes: [], follows: ['osconfig'] });
  expect(plan('text')).toMatch(
    /^rootfs +[0-9a-f]{12} {2}in the store\nosconfig +[0-9a-f]{12} {2}to be built\n/,
  );
});

test('history and diff tell what has changed', async () => {
  const image = (text: string) => runProcess([executable('image-builder'), ...text.split(' ')], options());
  const history = JSON.parse(image('history small -o json').stdout);
  expect(history.at(-1)).toMatchObject({ digest: first.contents.reference.digest });
  expect(history.at(-1).changes).toBeUndefined();
  expect(history[0].changes.osconfig.changes).toEqual([
    { path: 'osconfig.banners.login', before: expect.any(String), after: 'changed\n' },
  ]);
  expect(history[0].changes).toMatchObject({ 'qcow/a': { changes: [], follows: ['osconfig'] } });
  expect(history[0].changes.rootfs).toBeUndefined();

  const diff = JSON.parse(image(`diff ${first.contents.reference.digest} small~0 -o json`).stdout);
  expect(diff).toMatchObject({ identical: false, packages: [], unknown: [] });
  expect(diff.variables).toMatchObject([
    { path: 'banners.login', profiles: ['profile_multistrap', 'profile_qcow_a', 'profile_qcow_b'] },
  ]);
  expect(diff.images.map(({ name }: { name: string }) => name)).toEqual(['a', 'b']);
  expect(image(`diff small~0 ${history[0].key.slice(0, 12)} --exit-code`)).toMatchObject({ status: 0 });
  expect(image('diff small~40 small~0').stderr).toContain('has no build 40');
});

test('a change of one QCOW builds that one and the bundle; what a registry that is down has missed goes later', async () => {
  const qcows = { ...spec.qcows, b: { qcow: { qcow_capacity: '6G' } } };
  await registry.kill();
  const { built, contents } = await run({ qcows, bundle: { layout: 'out', tag: 'v3' } });
  // Asked once, and told once, though the bundle and its stages were looked for.
  expect(steps.filter((step) => step.includes('warning: the shared store cannot be used'))).toHaveLength(1);
  await registry.start();
  expect((await run({ qcows, bundle: { tag: 'v3' } })).built).toEqual([]);
  expect(steps.filter((step) => step.startsWith('push ')).map((step) => step.split('-')[0])).toEqual([
    'push qcow',
    'push bundle',
  ]);
  expect((await run({ qcows, bundle: { tag: 'v3' } })).built).toEqual([]);
  expect(steps).toEqual([]);
  expect((await run({ qcows }, 'small', join(cwd, 'late-store'))).built).toEqual([]);
  expect(built).toEqual(['bundle', 'qcow/b']);
  expect(contents.artifacts.qcows.a).toEqual(first.contents.artifacts.qcows.a);
  expect(contents.artifacts.qcows.b?.virtualSize).toBe(6 * 2 ** 30);
  expect(leftovers()).toEqual([]);
});

test('the same bytes come out of packed results as out of the trees that stages hand on', async () => {
  const entries = join(store, 'entries');
  const others = readdirSync(entries).filter((name) => !name.startsWith('rootfs-'));
  for (const name of others) rmSync(join(entries, name), { recursive: true });
  const { built, contents } = await run({ store: { repository: `${registry.host}/site/empty` } });
  expect(built).toEqual(['bundle', 'osconfig', 'qcow/a', 'qcow/b']);
  expect(contents.reference.digest).toBe(first.contents.reference.digest);
});

/** Copies the result of a stage into another store. */
function copyEntry(kind: string, to: string): void {
  const [name = ''] = readdirSync(join(store, 'entries')).filter((entry) => entry.startsWith(`${kind}-`));
  const [from, target] = [store, to].map((directory) => join(directory, 'entries', name));
  cpSync(from as string, target as string, { recursive: true, preserveTimestamps: true });
}

test('killed again and again in its real stages, it comes to the same bundle', async () => {
  const at = join(cwd, 'killed-store');
  const { store: _, ...alone } = spec;
  const bundle = { layout: join(cwd, 'killed'), tag: 'v1' };
  const program = bundleProgram('build-program', cwd);
  const begin = () => start(program, [at, 'small', JSON.stringify({ ...alone, bundle })]);
  /** Milliseconds after a stage has begun. */
  const moments = {
    rootfs: [0, 400, 4000],
    osconfig: [0, 300, 900, 2000],
    'qcow/a': [0, 250, 800, 1600],
    bundle: [0, 30, 120],
  };
  for (const [stage, after] of Object.entries(moments)) {
    // What it would come to in a minute is there already.
    if (stage === 'osconfig') copyEntry('rootfs', at);
    const kills: number[] = [];
    for (const milliseconds of after) {
      const running = begin();
      // It does not begin when it was done already at the moment before.
      const began = await running.printed({ stage, status: 'started' }).then(
        () => true,
        () => false,
      );
      await sleep(milliseconds);
      running.process.kill('SIGKILL');
      if ((await running.ended) === 'SIGKILL') kills.push(milliseconds);
      if (!began) break;
    }
    expect([stage, kills[0]]).toEqual([stage, 0]);
  }
  const last = begin();
  expect(await last.ended).toBe(0);
  expect(last.lines.at(-1)?.contents).toMatchObject({
    reference: { digest: first.contents.reference.digest },
  });
  expect(readdirSync(join(at, 'work'))).toEqual([]);
});

test('a package that does not exist fails before anything is built, and publishes nothing', async () => {
  const rootfs = { multistrap: { ...spec.rootfs?.multistrap, packages: ['no-such-package'] } };
  await expect(run({ rootfs, bundle: { layout: 'never', tag: 'v1' } })).rejects.toMatchObject({
    code: 'PACKAGE_UNAVAILABLE',
  });
  expect(existsSync(join(cwd, 'never'))).toBe(false);
  expect(leftovers()).toEqual([]);
});

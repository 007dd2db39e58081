// Signatures as cosign makes and checks them, and what a reader refuses: on registries with and without a list of
// referrers, by requests that are counted.
import { execFileSync } from 'node:child_process';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, request as send } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { parseSigningKey, type SigningKey } from '../../../image-builder/attestation/keys.ts';
import { PREDICATES } from '../../../image-builder/attestation/statement.ts';
import { trustPolicy } from '../../../image-builder/attestation/trust-policy.ts';
import type { TrustSettings } from '../../../image-builder/attestation/trust-settings.ts';
import {
  type Published,
  type PublishOptions,
  publish as publishBundle,
} from '../../../image-builder/build/publish.ts';
import { signImage } from '../../../image-builder/bundle/evidence/sign.ts';
import { statementReferrer } from '../../../image-builder/bundle/evidence/statement-referrer.ts';
import { verifyBundle } from '../../../image-builder/bundle/evidence/verify.ts';
import { readBundle } from '../../../image-builder/bundle/read/read-bundle.ts';
import type { ReadBundleOptions } from '../../../image-builder/bundle/read/read-options.ts';
import { pushNewReferrers, pushReference } from '../../../image-builder/oci/distribution/push.ts';
import { openSource } from '../../../image-builder/oci/open.ts';
import { parseReference, type RegistryReference } from '../../../image-builder/oci/reference.ts';
import { AttachedSource } from '../../../image-builder/oci/referrers/attached.ts';
import type { BuildSpec } from '../../../image-builder/spec/api/types.ts';
import { resolveBuild } from '../../../image-builder/spec/variables/resolve.ts';
import { PERSON } from '../../support/policies.ts';
import { bundleOf, makeQcow, run, writeBundle } from '../bundle/support.ts';
import { executable, run as runProcess } from '../support/executables.ts';
import { kustomizes } from '../support/kustomize.ts';
import { type ReferrersRegistry, startReferrersRegistry } from '../support/referrers-registry.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';

const root = join(__dirname, '../../..');
const bin = join(root, '.cache/bin');

let directory: string;
let plain: TestRegistry;
let listing: ReferrersRegistry;
let digest: string;

interface Pair {
  key: SigningKey;
  /** PEM. */
  publicKey: string;
  publicFile: string;
  /** Encrypted in cosign's own way. */
  cosignFile: string;
}
let p256: Pair;
let ed25519: Pair;
let stranger: Pair;

function makePair(name: string, { publicKey, privateKey }: ReturnType<typeof generateKeyPairSync>): Pair {
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const publicPem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const [file, publicFile] = [join(directory, `${name}.pem`), join(directory, `${name}.pub`)];
  writeFileSync(file, pem);
  writeFileSync(publicFile, publicPem);
  cosign('import-key-pair', '--key', file, '--output-key-prefix', join(directory, name), '--yes');
  return {
    key: parseSigningKey(pem, undefined, file),
    publicKey: publicPem,
    publicFile,
    cosignFile: join(directory, `${name}.key`),
  };
}

function cosign(...args: string[]): string {
  const env = { ...process.env, COSIGN_PASSWORD: '', HOME: directory };
  return execFileSync(join(bin, 'cosign'), args, { env, stdio: 'pipe', cwd: directory }).toString();
}

const OWN_KEY = ['--use-signing-config=false', '--tlog-upload=false', '--yes'];
const verifies = (reference: string, { publicFile }: Pair, ...more: string[]): boolean => {
  try {
    cosign('verify', '--key', publicFile, '--insecure-ignore-tlog', ...more, reference);
    return true;
  } catch {
    return false;
  }
};

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'image-builder-signatures-'));
  [plain, listing] = await Promise.all([startRegistry(), startReferrersRegistry()]);
  p256 = makePair('p256', generateKeyPairSync('ec', { namedCurve: 'prime256v1' }));
  ed25519 = makePair('ed25519', generateKeyPairSync('ed25519'));
  stranger = makePair('stranger', generateKeyPairSync('ec', { namedCurve: 'prime256v1' }));
  const qcow = join(directory, 'qcow');
  await makeQcow(qcow, 1);
  const written = await writeBundle(
    bundleOf({ node: qcow }),
    { kind: 'layout', path: 'layout', tag: 'v1' },
    { cwd: directory },
  );
  digest = written.reference.digest;
});
afterAll(async () => {
  await Promise.all([plain.stop(), listing.stop()]);
  await rm(directory, { recursive: true, force: true });
});

/** A fresh repository with the bundle. */
let repositories = 0;
async function publish(host: string): Promise<string> {
  repositories += 1;
  const name = `${host}/site/bundle-${repositories}:v1`;
  await pushReference(
    parseReference(`oci:${directory}/layout:v1`),
    parseReference(name) as RegistryReference,
    { report: () => {} },
  );
  return name;
}

const sign = (reference: string, pair: Pair = p256, more: Partial<Parameters<typeof signImage>[1]> = {}) =>
  signImage(reference, { key: pair.key, now: Date.now() / 1000, report: () => {}, ...more });

/** Reads as a render does. */
function read(reference: string, trust?: Partial<TrustSettings>, options: ReadBundleOptions = {}) {
  const settings = trust && { keys: [p256.publicKey], ...trust };
  return readBundle(reference, {
    cache: false,
    limits: { retries: 0 },
    ...(settings && { trust: async () => [trustPolicy(settings, 'trust')] }),
    ...options,
  });
}

const pinned = (reference: string) => `${reference}@${digest}`;

describe.each([
  ['without a list of referrers', () => plain.host],
  ['with a list of referrers', () => listing.host],
])('a registry %s', (_, hostOf) => {
  test('cosign verifies what we sign, with its claims', async () => {
    const reference = await publish(hostOf());
    for (const pair of [p256, ed25519]) {
      expect(verifies(reference, pair)).toBe(false);
      expect((await sign(reference, pair)).image).toBe(pinned(reference));
      expect(verifies(reference, pair)).toBe(true);
    }
    const [, repository] = reference.split(/\/(.*):v1/);
    expect(verifies(reference, p256, '-a', 'tag=v1', '-a', `repository=${repository}`)).toBe(true);
    expect(verifies(reference, p256, '-a', 'tag=v2')).toBe(false);
    expect(verifies(reference, stranger)).toBe(false);
  });

  test('we verify what cosign signs', async () => {
    const reference = await publish(hostOf());
    cosign('sign', '--key', p256.cosignFile, ...OWN_KEY, pinned(reference));
    await expect(read(pinned(reference), {})).resolves.toMatchObject({ reference: { digest } });
    // By a tag alone the signature must be for that tag.
    await expect(read(reference, {})).rejects.toMatchObject({ code: 'TRUST_CLAIM_MISMATCH' });
    const [, repository] = reference.split(/\/(.*):v1/);
    cosign(
      'sign',
      '--key',
      p256.cosignFile,
      ...OWN_KEY,
      '-a',
      'tag=v1',
      '-a',
      `repository=${repository}`,
      pinned(reference),
    );
    await expect(read(reference, {})).resolves.toMatchObject({ reference: { digest } });
    await expect(read(reference, { keys: [stranger.publicKey] })).rejects.toMatchObject({
      code: 'TRUST_REFUSED',
    });
  });

  test('statements of other kinds go both ways', async () => {
    const reference = await publish(hostOf());
    const predicate = {
      runDetails: { builder: { id: 'https://ci.example.org' } },
      buildDefinition: { buildType: 'x', externalParameters: {} },
    };
    await sign(reference, p256, { predicate: { type: PREDICATES.provenance, content: predicate } });
    cosign(
      'verify-attestation',
      '--key',
      p256.publicFile,
      '--insecure-ignore-tlog',
      '--type',
      'slsaprovenance1',
      reference,
    );
    const file = join(directory, 'result.json');
    writeFileSync(file, JSON.stringify({ result: 'FAILED' }));
    const require = ['provenance'] as const;
    await expect(
      read(reference, { require: [...require], builder: 'https://ci.example.org' }),
    ).resolves.toBeDefined();
    cosign(
      'attest',
      '--key',
      p256.cosignFile,
      ...OWN_KEY,
      '--type',
      PREDICATES.bootTest,
      '--predicate',
      file,
      pinned(reference),
    );
    // cosign takes a failed test for a signature.
    expect(verifies(reference, p256)).toBe(true);
    await expect(read(pinned(reference), {})).rejects.toMatchObject({ code: 'TRUST_MISSING' });
    await expect(read(pinned(reference), { require: ['bootTest'] })).rejects.toMatchObject({
      code: 'TRUST_BOOT_TEST',
    });
  });

  test('a signature costs a cold read two requests, a warm one none; a key that is removed counts no more', async () => {
    const reference = await publish(hostOf());
    await sign(reference);
    const without = await read(reference);
    const cold = await read(reference, {});
    expect(cold.cost.requests - without.cost.requests).toBeLessThanOrEqual(2);
    // The list under the tag has the whole manifest in it, which has the statement in it.
    expect(cold.cost.bytes - without.cost.bytes).toBeLessThan(hostOf() === plain.host ? 2800 : 3200);
    const cache = { cache: join(directory, `cache-${repositories}`) };
    await read(pinned(reference), {}, cache);
    const warm = await read(pinned(reference), {}, { ...cache, offline: true });
    expect(warm.cost.requests).toBe(0);
    await expect(
      read(pinned(reference), { keys: [stranger.publicKey] }, { ...cache, offline: true }),
    ).rejects.toMatchObject({ code: 'OFFLINE' });
    await expect(read(pinned(reference), { keys: [stranger.publicKey] }, cache)).rejects.toMatchObject({
      code: 'TRUST_REFUSED',
    });
  });

  test('signing twice says it once; verify tells who has said what', async () => {
    const reference = await publish(hostOf());
    expect((await sign(reference)).alreadySigned).toBe(false);
    expect((await sign(reference)).alreadySigned).toBe(true);
    expect((await sign(reference, p256, { claims: { site: 'a' } })).alreadySigned).toBe(false);
    await sign(reference, stranger);
    const policy = trustPolicy({ keys: [p256.publicKey], claims: { site: 'a' } }, 'trust');
    const found = await verifyBundle(reference, [policy], { cache: false });
    expect(found.trusted.map(({ kind, key }) => [kind, key])).toEqual([
      ['signature', p256.key.publicKey.id],
      ['signature', p256.key.publicKey.id],
    ]);
    expect(found.refused).toEqual([
      expect.objectContaining({ reason: expect.stringContaining('not signed by a trusted key') }),
    ]);
  });

  test('more statements than anybody makes are refused', async () => {
    const reference = await publish(hostOf());
    const source = await openSource(parseReference(reference));
    const { descriptor } = await source.root();
    const statements = Array.from({ length: 33 }, (_, count) =>
      statementReferrer(descriptor, {
        content: Buffer.from(`${count}`),
        predicateType: PREDICATES.signature,
      }),
    );
    const referrers = statements.map(({ subject, manifest }) => ({
      ...manifest.descriptor,
      content: manifest.content,
      subject,
    }));
    const target = parseReference(reference) as RegistryReference;
    await pushNewReferrers(new AttachedSource(source, statements), referrers, target, { report: () => {} });
    await source.close();
    await expect(read(pinned(reference), {})).rejects.toMatchObject({ code: 'TRUST_TOO_MANY' });
  });
});

test('the signature of another bundle, and of this one under another name, are refused', async () => {
  const [reference, other] = [await publish(plain.host), await publish(plain.host)];
  await sign(other);
  // Somebody with the right to push copies it here.
  await run(join(bin, 'oras'), [
    'cp',
    '-r',
    '--from-plain-http',
    '--to-plain-http',
    other,
    reference.replace(':v1', ':v2'),
  ]);
  await expect(read(reference, {})).rejects.toMatchObject({ code: 'TRUST_CLAIM_MISMATCH' });
  await expect(read(other, {})).resolves.toBeDefined();
});

test('signatures survive the collection of garbage, and a layout', async () => {
  const reference = await publish(plain.host);
  await sign(reference);
  const layout = join(directory, 'taken');
  await run(join(bin, 'oras'), [
    'cp',
    '-r',
    '--from-plain-http',
    '--to-oci-layout',
    reference,
    `${layout}:v1`,
  ]);
  await expect(read(`oci:${layout}:v1`, {})).resolves.toBeDefined();
  await pushReference(
    parseReference(`oci:${layout}:v1`),
    parseReference(reference.replace(plain.host, listing.host)) as RegistryReference,
    { report: () => {} },
  );
  await expect(read(reference.replace(plain.host, listing.host), {})).resolves.toBeDefined();
  const config = join(plain.storage, '../config.yml');
  await run('docker-registry', ['garbage-collect', '--delete-untagged', config]);
  await plain.kill();
  await plain.start();
  await expect(read(reference, {})).resolves.toBeDefined();
});

test('a bundle whose signatures were taken away is refused, also one that lies elsewhere than in a registry', async () => {
  const reference = await publish(plain.host);
  await sign(reference);
  const [, repository = ''] = reference.split(/\/(.*):v1/);
  rmSync(
    join(
      plain.storage,
      'docker/registry/v2/repositories',
      repository,
      '_manifests/tags',
      digest.replace(':', '-'),
    ),
    { recursive: true },
  );
  await expect(read(reference, {})).rejects.toMatchObject({ code: 'TRUST_MISSING' });
  await expect(read(`oci:${directory}/layout:v1`, {})).rejects.toMatchObject({ code: 'TRUST_MISSING' });
});

test('a list that is an image is no list', async () => {
  const reference = await publish(plain.host);
  await run('skopeo', [
    'copy',
    '--insecure-policy',
    '--quiet',
    '--dest-tls-verify=false',
    `oci:${directory}/layout:v1`,
    `docker://${reference.replace(/:v1$/, '')}:${digest.replace(':', '-')}`,
  ]);
  await expect(read(reference, {})).rejects.toMatchObject({ code: 'INVALID_MANIFEST' });
});

/** Passes requests on, but for those that it answers itself. */
async function startProxy(
  to: string,
  answer: (path: string, method: string) => { status: number; body: string } | undefined,
): Promise<{ host: string; server: Server }> {
  const server = createServer((incoming, outgoing) => {
    const own = answer(incoming.url ?? '', incoming.method ?? '');
    if (own)
      return outgoing
        .writeHead(own.status, { 'content-type': 'application/vnd.oci.image.index.v1+json' })
        .end(own.body);
    const [hostname, port] = to.split(':');
    const onward = send(
      { hostname, port, method: incoming.method, path: incoming.url, headers: incoming.headers },
      (answered) => {
        outgoing.writeHead(answered.statusCode ?? 500, answered.headers);
        answered.pipe(outgoing);
      },
    );
    incoming.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}

const EMPTY = JSON.stringify({
  schemaVersion: 2,
  mediaType: 'application/vnd.oci.image.index.v1+json',
  manifests: [],
});

test.each([
  ['an error', { status: 500, body: '' }, 'SERVER'],
  ['a refusal', { status: 403, body: '' }, 'DENIED'],
  ['something else', { status: 200, body: '{}' }, 'INVALID_MANIFEST'],
])('%s in place of the list is no empty list', async (_, answer, code) => {
  const reference = await publish(plain.host);
  await sign(reference);
  const { host, server } = await startProxy(plain.host, (path) =>
    path.includes('/referrers/') ? answer : undefined,
  );
  try {
    await expect(read(reference.replace(plain.host, host), {})).rejects.toMatchObject({ code });
  } finally {
    server.close();
  }
});

test('a registry that has learned to list is asked for what was listed before', async () => {
  const reference = await publish(plain.host);
  await sign(reference);
  const { host, server } = await startProxy(plain.host, (path) =>
    path.includes('/referrers/') ? { status: 200, body: EMPTY } : undefined,
  );
  try {
    await expect(read(reference.replace(plain.host, host), {})).resolves.toBeDefined();
  } finally {
    server.close();
  }
});

test('a registry that takes no referrers does not get the tag either', async () => {
  const { host, server } = await startProxy(plain.host, (path, method) =>
    method === 'PUT' && path.includes('/manifests/sha256-') ? { status: 400, body: '' } : undefined,
  );
  try {
    mkdirSync(join(directory, 'sbom'), { recursive: true });
    const sbom = join(directory, 'sbom/node.spdx.json');
    writeFileSync(sbom, '{}');
    const bundle = { ...bundleOf({}), qcows: [{ name: 'node', path: join(directory, 'qcow'), sbom }] };
    await writeBundle(bundle, { kind: 'layout', path: 'described', tag: 'v1' }, { cwd: directory });
    const target = parseReference(`${host}/site/refused:v1`) as RegistryReference;
    await expect(
      pushReference(parseReference(`oci:${directory}/described:v1`), target, { report: () => {} }),
    ).rejects.toMatchObject({ code: 'REFERRERS' });
    await expect(read(`${host}/site/refused:v1`)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  } finally {
    server.close();
  }
});

test('a list that others overwrite again and again is given up, and said so', async () => {
  const reference = await publish(plain.host);
  // As if somebody else had always written last.
  const { host, server } = await startProxy(plain.host, (path, method) =>
    method === 'PUT' && path.includes('/manifests/sha256-') ? { status: 201, body: '' } : undefined,
  );
  try {
    await expect(sign(reference.replace(plain.host, host))).rejects.toMatchObject({ code: 'REFERRERS' });
  } finally {
    server.close();
  }
});

describe.each([
  ['without a list of referrers', () => plain.host],
  ['with a list of referrers', () => listing.host],
])('a build that attests, in a registry %s', (_, hostOf) => {
  const require = ['signature', 'provenance', 'sbom', 'bootTest'] as const;
  let repository: string;
  let published: Published;
  let request: Parameters<typeof publishBundle>;
  let uploads: number;

  beforeAll(async () => {
    repositories += 1;
    repository = `${hostOf()}/site/built-${repositories}`;
    const sbom = join(directory, 'built.spdx.json');
    writeFileSync(
      sbom,
      JSON.stringify({ spdxVersion: 'SPDX-2.3', SPDXID: 'SPDXRef-DOCUMENT', name: 'node.qcow2' }),
    );
    const layout = `built-${repositories}`;
    const files = { ...bundleOf({}), qcows: [{ name: 'node', path: join(directory, 'qcow'), sbom }] };
    const { reference, artifacts } = await writeBundle(
      files,
      { kind: 'layout', path: layout, tag: 'x' },
      { cwd: directory },
    );
    const spec: BuildSpec = {
      qcows: { node: {} },
      bootTest: { timeout: 60, firmware: ['uefi'] },
      bundle: { repository, tag: 'v1', disks: true, base: 'none', attest: {} },
    };
    const options: PublishOptions = {
      policy: PERSON,
      cwd: directory,
      defaultLayout: join(directory, 'default'),
      env: { ...process.env, IMAGE_BUILDER_SIGNING_KEY: 'p256.pem' },
      evidence: async () => ({
        provenance: {
          buildDefinition: { buildType: 'https://example.org', externalParameters: {} },
          runDetails: { builder: { id: 'https://ci.example.org' } },
        },
        bootTests: [
          {
            ...{ disk: 'node', settings: 'e'.repeat(64), firmware: 'uefi' },
            ...{ seconds: 12.5, accelerator: 'tcg', tests: ['ntp runs'] },
          },
        ],
      }),
      report: (event) => {
        if (event.type === 'step') uploads += 1;
      },
      signal: new AbortController().signal,
    };
    request = [
      await resolveBuild('test', spec, { cwd: directory }),
      { directory: join(directory, layout), digest: reference.digest, artifacts },
      options,
    ];
    published = await publishBundle(...request);
  });

  test('says everything that can be demanded', async () => {
    const image = published.reference.image;
    const reading = await read(`${repository}:v1`, {
      require: [...require],
      builder: 'https://ci.example.org',
      maxAge: '1h',
    });
    expect(reading.reference.digest).toBe(published.reference.digest);
    for (const type of ['slsaprovenance1', 'spdxjson', PREDICATES.bootTest])
      cosign('verify-attestation', '--key', p256.publicFile, '--insecure-ignore-tlog', '--type', type, image);
    expect(verifies(image, p256, '-a', 'tag=v1')).toBe(true);
    // Whoever has a disk in hand can have it checked, too.
    const disk = published.artifacts.qcows.node?.oci?.replace('oci://', '') ?? '';
    expect(verifies(disk, p256)).toBe(true);
    const found = await verifyBundle(
      image,
      [trustPolicy({ keys: [p256.publicKey], require: [...require] }, 'trust')],
      { cache: false },
    );
    expect(found.trusted.map(({ kind }) => kind).sort()).toEqual([
      'bootTest',
      'provenance',
      'sbom',
      'signature',
    ]);
  });

  test('another build type and another configuration of boot tests are refused', async () => {
    const { image } = published.reference;
    const testConfiguration = `sha256:${createHash('sha256').update('e'.repeat(64)).digest('hex')}`;
    const buildType = 'https://example.org';
    // Neither a provenance nor a boot test is demanded otherwise, so neither would be read.
    await expect(read(image, { buildType, testConfiguration })).resolves.toBeDefined();
    await expect(read(image, { require: [...require], buildType, testConfiguration })).resolves.toBeDefined();
    await expect(read(image, { buildType: 'https://example.org/v2' })).rejects.toMatchObject({
      code: 'TRUST_CLAIM_MISMATCH',
      message: expect.stringContaining('names the build type https://example.org/v2'),
      output: [expect.stringContaining('and the build type https://example.org')],
    });
    const other = `sha256:${'e'.repeat(64)}`;
    await expect(read(image, { testConfiguration: other })).rejects.toMatchObject({
      code: 'TRUST_BOOT_TEST',
      message: expect.stringContaining(`was run with the configuration ${other}`),
      output: [expect.stringContaining(`was run with ${testConfiguration}`)],
    });
    // What one policy demands, another cannot take away.
    const both = [
      trustPolicy({ keys: [p256.publicKey], buildType: 'https://example.org/v2' }, 'machine'),
      trustPolicy({ keys: [p256.publicKey], buildType }, 'spec'),
    ];
    await expect(readBundle(image, { cache: false, trust: async () => both })).rejects.toMatchObject({
      code: 'TRUST_CLAIM_MISMATCH',
    });
    const { trusted } = await verifyBundle(image, both.slice(1), { cache: false });
    expect(trusted).toContainEqual(
      expect.objectContaining({ origin: { builder: 'https://ci.example.org', buildType } }),
    );
    expect(trusted).toContainEqual(expect.objectContaining({ testConfiguration }));
  });

  test('all of it costs a cold read few requests', async () => {
    const without = await read(published.reference.image);
    const cold = await read(published.reference.image, { require: [...require] });
    // Both lists: the one under the tag has the small statements in it, and one of those names the bill of materials.
    expect(cold.cost.requests - without.cost.requests).toBe(2);
  });

  test('says it once', async () => {
    uploads = 0;
    await publishBundle(...request);
    expect(uploads).toBe(0);
    const [resolved, bundle, options] = request;
    const elsewhere = { ...resolved, bundle: { ...resolved.bundle, tag: 'v2' } };
    await publishBundle(elsewhere, bundle, options);
    await expect(read(`${repository}:v2`, { require: ['signature', 'provenance'] })).resolves.toBeDefined();
    await expect(read(`${repository}:v1`, { require: ['signature', 'provenance'] })).resolves.toBeDefined();
  });

  test('says nothing of boot tests that were not made, and nothing without a key', async () => {
    const [resolved, bundle, options] = request;
    const untested = {
      ...options,
      evidence: async () => ({ provenance: { buildDefinition: {}, runDetails: {} }, bootTests: [] }),
    };
    await expect(publishBundle(resolved, bundle, untested)).rejects.toThrow(
      'spec.build.bundle.attest.bootTest: is true, and node/uefi was not tested',
    );
    await expect(publishBundle(resolved, bundle, { ...options, env: {} })).rejects.toThrow(
      'spec.build.bundle.attest: needs a key: IMAGE_BUILDER_SIGNING_KEY=FILE',
    );
    // Before anything is published.
    const unread = { ...options, env: { IMAGE_BUILDER_SIGNING_KEY: 'none.pem' } };
    const elsewhere = { ...resolved, bundle: { ...resolved.bundle, tag: 'unread' } };
    await expect(publishBundle(elsewhere, bundle, unread)).rejects.toThrow('none.pem cannot be read');
    await expect(read(`${repository}:unread`)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('under kustomize', () => {
  /** A repository in Git that renders a bundle. */
  function repository(image: string, trust?: object): string {
    const path = join(directory, `git-${repositories}-${Date.now()}`);
    mkdirSync(path);
    writeFileSync(join(path, 'kustomization.yaml'), 'generators: [bundle.yaml]\n');
    const object = {
      apiVersion: 'airshipit.org/v1alpha1',
      kind: 'ImageBuilder',
      metadata: {
        name: 'node',
        annotations: { 'config.kubernetes.io/function': `exec: {path: ${executable('image-builder-fn')}}` },
      },
      spec: { bundle: { image, ...(trust && { trust }) } },
    };
    writeFileSync(join(path, 'bundle.yaml'), JSON.stringify(object));
    return path;
  }
  async function render(path: string, env: Record<string, string> = {}) {
    const [[, kustomize] = ['', '']] = await kustomizes();
    const options = { env: { ...process.env, IMAGE_BUILDER_CACHE: join(directory, 'render-cache'), ...env } };
    return runProcess([kustomize, 'build', '--enable-alpha-plugins', '--enable-exec', path], options);
  }

  /** examples/signed with this bundle and this key. */
  function example(image: string, { publicKey }: Pair): string {
    const path = join(directory, `signed-${repositories}`);
    cpSync(join(root, 'examples/signed'), path, { recursive: true });
    const file = join(path, 'image-builder.yaml');
    const object = parse(readFileSync(file, 'utf8'));
    object.metadata.annotations['config.kubernetes.io/function'] =
      `exec: {path: ${executable('image-builder-fn')}}`;
    object.spec.bundle.image = image;
    object.spec.bundle.trust.keys = [publicKey];
    writeFileSync(file, JSON.stringify(object));
    return path;
  }

  test('examples/signed: a signed bundle is rendered, and one that was tampered with is refused', async () => {
    const reference = await publish(plain.host);
    await sign(reference);
    const path = example(reference, p256);
    const rendered = await render(path);
    expect({ status: rendered.status, stderr: rendered.stderr }).toEqual({ status: 0, stderr: '' });
    expect(rendered.stdout).toContain('version: 1.34.2-1.1');
    // Somebody moves the tag to a bundle of his own.
    const other = bundleOf({ node: join(directory, 'qcow') }, { created: 7 });
    await writeBundle(other, { kind: 'layout', path: 'tampered', tag: 'v1' }, { cwd: directory });
    await pushReference(
      parseReference(`oci:${directory}/tampered:v1`),
      parseReference(reference) as RegistryReference,
      { report: () => {} },
    );
    const refused = await render(path);
    expect(refused.status).not.toBe(0);
    expect(refused.stderr).toContain('spec.bundle.trust');
    expect(refused.stderr).toContain('TRUST_MISSING');
  });

  test('a machine demands what the spec does not, and a spec cannot demand less', async () => {
    const reference = await publish(plain.host);
    const policy = join(directory, 'policy.yaml');
    const rule = { repository: `${plain.host}/site/*`, trust: { keys: [p256.publicKey] } };
    writeFileSync(
      policy,
      JSON.stringify({ apiVersion: 'airshipit.org/v1alpha1', kind: 'ImageBuilderPolicy', bundles: [rule] }),
      { mode: 0o600 },
    );
    const env = { IMAGE_BUILDER_POLICY: policy };
    expect((await render(repository(reference))).status).toBe(0);
    expect((await render(repository(reference), env)).stderr).toContain('TRUST_MISSING');
    await sign(reference, stranger);
    expect((await render(repository(reference, { keys: [stranger.publicKey] }))).status).toBe(0);
    expect((await render(repository(reference, { keys: [stranger.publicKey] }), env)).stderr).toContain(
      'TRUST_REFUSED',
    );
    const command = [executable('image-builder'), 'extract', reference] as [string, ...string[]];
    expect(runProcess(command, { env: { ...process.env, ...env } }).stderr).toContain('TRUST_REFUSED');
    await sign(reference);
    expect((await render(repository(reference), env)).status).toBe(0);
  });
});

describe('what is signed before it is published', () => {
  const FOR = 'offline.example.org/site/bundle:v1';
  const trust = () =>
    trustPolicy({ keys: [p256.publicKey], claims: { repository: 'site/bundle', tag: 'v1' } }, 'trust');
  const command = (...args: string[]) =>
    runProcess([executable('image-builder'), ...args, '--key', join(directory, 'p256.pem')], {
      cwd: directory,
    });

  test.each(['layout', 'archive'] as const)(
    'in an OCI %s, counts there and wherever it goes',
    async (kind) => {
      const bundle = bundleOf({ node: join(directory, 'qcow') });
      const destination = { kind, path: `before-${kind}`, tag: 'v1' };
      const written = await writeBundle(bundle, destination, { cwd: directory });
      const transport = kind === 'layout' ? 'oci' : 'oci-archive';
      const reference = `${transport}:before-${kind}:v1`;
      const { status, stdout, stderr } = command('sign', reference, '--for', FOR);
      expect({ status, stdout, stderr }).toEqual({
        status: 0,
        stdout: `${reference}@${written.reference.digest}\n`,
        stderr: '',
      });
      expect(command('sign', reference, '--for', FOR).stderr).toContain('has signed it before');
      const place = `${transport}:${directory}/before-${kind}:v1`;
      const found = await verifyBundle(place, [trust()], { cache: false });
      expect(found.trusted).toMatchObject([
        { kind: 'signature', claims: { repository: 'site/bundle', tag: 'v1' } },
      ]);
      repositories += 1;
      const there = `${plain.host}/site/moved-${repositories}:v1`;
      await pushReference(parseReference(place), parseReference(there) as RegistryReference, {
        report: () => {},
      });
      expect(
        (await verifyBundle(`${there}@${found.image.split('@')[1]}`, [trust()], { cache: false })).trusted,
      ).toHaveLength(1);
      // The image is as it was, for others too.
      const inspected = JSON.parse((await run('skopeo', ['inspect', place])).stdout);
      expect(inspected.Digest).toBe(written.reference.digest);
    },
  );

  test('not where there is no place for it, and not twice about its place', async () => {
    expect(command('sign', 'docker-daemon:a:b').stderr).toContain('has no place for signatures');
    expect(command('sign', 'oci:layout:v1', '--for', 'oci:elsewhere').stderr).toContain(
      '--for: oci:elsewhere is in no registry',
    );
    const reference = await publish(plain.host);
    expect(command('sign', reference, '--for', FOR).stderr).toContain('--for: is for layouts and archives');
  });
});

test('the commands sign and verify', async () => {
  const reference = await publish(plain.host);
  const command = (...args: string[]) =>
    runProcess([executable('image-builder'), ...args], {
      env: { ...process.env, IMAGE_BUILDER_CACHE: join(directory, 'command-cache') },
    });
  const keyFile = join(directory, 'p256.pem');
  expect(command('verify', reference, '--key', p256.publicFile)).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('TRUST_MISSING'),
  });
  const signed = command('sign', reference, '--key', keyFile, '--claim', 'site=a');
  expect(signed).toMatchObject({
    status: 0,
    stdout: `${pinned(reference)}\n`,
    stderr: expect.not.stringContaining('BEGIN'),
  });
  const verified = command('verify', reference, '--key', p256.publicFile, '--claim', 'site=a', '-o', 'json');
  expect(verified.status).toBe(0);
  expect(JSON.parse(verified.stdout)).toMatchObject({
    image: pinned(reference),
    trusted: [{ kind: 'signature', key: p256.key.publicKey.id, claims: { tag: 'v1', site: 'a' } }],
    refused: [],
  });
  const shown = command('inspect', reference);
  expect(shown.stdout).toMatch(
    new RegExp(
      `not checked.*\n  signature  key ${p256.key.publicKey.id.slice(0, 16)}  repository=\\S+  tag=v1  site=a  created=`,
    ),
  );
  expect(command('verify', reference, '--key', p256.publicFile, '--claim', 'site=b')).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('TRUST_CLAIM_MISMATCH'),
  });
  expect(command('verify', reference).stderr).toContain('whose signature is trusted?');
  expect(command('sign', reference, '--key', join(directory, 'none.pem')).stderr).toContain(
    'none.pem cannot be read',
  );
});

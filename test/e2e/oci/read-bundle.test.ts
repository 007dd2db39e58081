// Bundles in every place that a reference can name, made by real tools, read from a real registry.

import { execFileSync } from 'node:child_process';
import { createReadStream, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { readBundle } from '../../../image-builder/bundle/read/read-bundle.ts';
import { MULTISTRAP_PROFILE, ownBundle, predecessorBundle, QCOW_PROFILE } from '../../support/bundles.ts';
import { LayoutWriter, writeLayout } from '../../support/images.ts';
import { startEngineTls } from '../support/engine-tls.ts';
import { pushAsDocker, skopeoCopy, startRegistry, type TestRegistry } from '../support/registry.ts';

const KIB = 1024;
let directory: string;
let registry: TestRegistry;
const at = (name: string) => join(directory, name);

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'read-bundle-'));
  await writeLayout(at('own'), ownBundle());
  await writeLayout(at('predecessor'), predecessorBundle());
  registry = await startRegistry();
  await skopeoCopy(`oci:${at('own')}:v1`, `docker://${registry.host}/site/own:v1`);
  await pushAsDocker(`${at('predecessor')}:v1`, `${registry.host}/site/predecessor:v1`);
}, 60_000);

afterAll(async () => {
  await registry.stop();
  rmSync(directory, { recursive: true, force: true });
});

const expectProfiles = (reading: Awaited<ReturnType<typeof readBundle>>) =>
  expect(reading.profiles).toEqual([
    { path: '/profiles/profile_multistrap.json', name: 'profile_multistrap', json: MULTISTRAP_PROFILE },
    {
      path: '/profiles/profile_qcow_control-plane.json',
      name: 'profile_qcow_control-plane',
      json: QCOW_PROFILE,
    },
  ]);

describe('a bundle of ours', () => {
  it('is read from a registry in two requests', async () => {
    const reading = await readBundle(`${registry.host}/site/own:v1`, { cache: false });
    expectProfiles(reading);
    expect(reading.artifacts.qcows['control-plane']).toMatchObject({
      size: 2_000_000,
      virtualSize: 19 * 1024 ** 3,
    });
    expect(reading.reference.image).toBe(`${registry.host}/site/own:v1@${reading.reference.digest}`);
    expect(reading.verification).toBe('full');
    expect(reading.cost.requests).toBeLessThanOrEqual(2);
    expect(reading.cost.bytes).toBeLessThan(32 * KIB);
  });

  it('is read the same with full verification', async () => {
    const reading = await readBundle(`${registry.host}/site/own:v1`, { verify: 'full', cache: false });
    expectProfiles(reading);
    expect(reading.verification).toBe('full');
  });
});

describe("a bundle in the predecessor's layout", () => {
  it('is read from a registry in three requests', async () => {
    const reading = await readBundle(`${registry.host}/site/predecessor:v1`, { cache: false });
    expectProfiles(reading);
    expect(reading.verification).toBe('partial');
    expect(reading.cost.requests).toBeLessThanOrEqual(3);
    expect(reading.cost.bytes).toBeLessThan(64 * KIB);
  });

  it('is read to the last byte with full verification', async () => {
    const reading = await readBundle(`${registry.host}/site/predecessor:v1`, {
      verify: 'full',
      cache: false,
    });
    expectProfiles(reading);
    expect(reading.verification).toBe('full');
    expect(reading.cost.bytes).toBeGreaterThan(4_500_000);
  });

  it('is read without its history', async () => {
    await writeLayout(at('no-history'), predecessorBundle({ withoutHistory: true }));
    const reading = await readBundle(`oci:${at('no-history')}`, { cache: false });
    expectProfiles(reading);
  });
});

it('reads zstd:chunked layers by their table of contents', async () => {
  await writeLayout(at('squashed'), {
    tag: 'v1',
    layers: [
      { entries: predecessorBundle({ qcowBytes: 4_000_000 }).layers.flatMap(({ entries = [] }) => entries) },
    ],
  });
  const format = ['--dest-compress', '--dest-compress-format', 'zstd:chunked'];
  await skopeoCopy(`oci:${at('squashed')}:v1`, `docker://${registry.host}/site/chunked:v1`, ...format);
  const tagged = await readBundle(`${registry.host}/site/chunked:v1`, { cache: false });
  for (const reading of [tagged, await readBundle(tagged.reference.image, { cache: false })]) {
    expectProfiles(reading);
    expect(reading.verification).toBe('verified');
    // Manifest, table, two profiles; of five megabytes.
    expect(reading.cost.requests).toBeLessThanOrEqual(5);
    expect(reading.cost.bytes).toBeLessThan(64 * KIB);
  }
  const whole = await readBundle(`${registry.host}/site/chunked:v1`, { cache: false, verify: 'full' });
  expectProfiles(whole);
  expect(whole.verification).toBe('full');
});

describe('local forms', () => {
  it.each(['oci:', 'oci-archive:', 'docker-archive:'])('%s', async (transport) => {
    const target = at(`form-${transport.slice(0, -1)}`);
    await skopeoCopy(
      `oci:${at('predecessor')}:v1`,
      `${transport}${target}:${transport === 'docker-archive:' ? 'site/bundle:v1' : 'v1'}`,
    );
    expectProfiles(await readBundle(`${transport}${target}`, { cache: false }));
    const reading = await readBundle(`${transport}${target}`, { verify: 'full', cache: false });
    expectProfiles(reading);
    expect(reading.verification).toBe('full');
    if (transport === 'oci:') return;
    writeFileSync(`${target}.gz`, gzipSync(readFileSync(target), { level: 1 }));
    expectProfiles(await readBundle(`${transport}${target}.gz`, { cache: false }));
    execFileSync('zstd', ['-q', '-f', target, '-o', `${target}.zst`]);
    expectProfiles(await readBundle(`${transport}${target}.zst`, { cache: false }));
  });
});

/** The API of an engine that has one image, re-enacted on a socket. */
async function startEngine(socket: string): Promise<{ asked: string[]; close(): void }> {
  const archive = at('form-docker-archive');
  const asked: string[] = [];
  const engine = createServer((request, response) => {
    asked.push(request.url ?? '');
    if (request.url === `/images/${encodeURIComponent('site/bundle:v1')}/get`)
      createReadStream(archive).pipe(response);
    else response.writeHead(404).end('{"message":"no such image"}');
  });
  await new Promise<void>((done) => engine.listen(socket, done));
  return { asked, close: () => void engine.close() };
}

it('docker-daemon: reads what the engine saves', async () => {
  const engine = await startEngine(at('engine.sock'));
  const environment = { DOCKER_HOST: `unix://${at('engine.sock')}` };
  try {
    const reading = await readBundle('docker-daemon:site/bundle:v1', { environment });
    expectProfiles(reading);
    expect(reading.reference.image).toMatch(/^docker-daemon:site\/bundle:v1@sha256:/);
    expect(engine.asked).toHaveLength(1);
    await expect(readBundle('docker-daemon:site/other:v1', { environment })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  } finally {
    engine.close();
  }
});

it('docker-daemon: reads from an engine behind TLS, with the certificates of docker', async () => {
  const engine = await startEngine(at('tls-engine.sock'));
  const behind = await startEngineTls(at('tls-engine.sock'), at('tls'));
  const read = (environment: Record<string, string>) =>
    readBundle('docker-daemon:site/bundle:v1', { environment });
  const { DOCKER_HOST } = behind.environment;
  try {
    expectProfiles(await read(behind.environment));
    expect(engine.asked).toHaveLength(1);
    // Without its certificates, with those of nobody, and with an authority that has not signed the engine's.
    await expect(read({ DOCKER_HOST, HOME: at('tls') })).rejects.toMatchObject({ code: 'NETWORK' });
    mkdirSync(at('other-tls'));
    await expect(read({ ...behind.environment, DOCKER_CERT_PATH: at('other-tls') })).rejects.toMatchObject({
      code: 'TLS',
      hint: expect.stringContaining('DOCKER_CERT_PATH'),
    });
    // https:// is no leave to believe anybody; that takes DOCKER_TLS alone, as docker has it.
    const https = { DOCKER_HOST: DOCKER_HOST.replace('tcp:', 'https:'), HOME: at('other-tls') };
    await expect(read(https)).rejects.toMatchObject({ code: 'TLS' });
    expect(engine.asked).toHaveLength(1);
    const { DOCKER_CERT_PATH } = behind.environment;
    expectProfiles(await read({ DOCKER_HOST, DOCKER_CERT_PATH, DOCKER_TLS: '1' }));
  } finally {
    await behind.stop();
    engine.close();
  }
});

it('chooses by platform, through nested indexes, and refuses endless ones', async () => {
  const writer = new LayoutWriter(at('indexes'));
  const profile = (name: string) => ({
    layers: [{ entries: [{ name: 'profiles/profile_x.json', content: JSON.stringify({ name }) }] }],
  });
  const amd = await writer.image({ ...profile('amd64') });
  const arm = await writer.image({ ...profile('arm64'), platform: { os: 'linux', architecture: 'arm64' } });
  writer.tag(writer.index([writer.index([amd, arm])]), 'nested');
  let deep = writer.index([amd]);
  for (let depth = 0; depth < 6; depth++) deep = writer.index([deep]);
  writer.tag(deep, 'deep');
  for (const architecture of ['amd64', 'arm64']) {
    const { profiles } = await readBundle(`oci:${at('indexes')}:nested`, {
      platform: { os: 'linux', architecture },
    });
    expect(profiles[0]?.json).toBe(JSON.stringify({ name: architecture }));
  }
  await expect(
    readBundle(`oci:${at('indexes')}:nested`, { platform: { os: 'linux', architecture: 's390x' } }),
  ).rejects.toMatchObject({
    code: 'NO_MATCHING_PLATFORM',
  });
  await expect(readBundle(`oci:${at('indexes')}:deep`)).rejects.toMatchObject({ code: 'INVALID_MANIFEST' });
  await expect(readBundle(`oci:${at('indexes')}`)).rejects.toMatchObject({ code: 'INVALID_REFERENCE' });
  await expect(readBundle(`oci:${at('indexes')}:nope`)).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

// Bundles that buildah and podman made of the predecessor's Dockerfile, pushed in every compression that they have.

import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { copyBundle } from '../../../image-builder/bundle/copy/copy-disks.ts';
import { readBundle } from '../../../image-builder/bundle/read/read-bundle.ts';
import { MULTISTRAP_PROFILE, QCOW_PROFILE } from '../../support/bundles.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';

const run = promisify(execFile);
const KIB = 1024;
const TOOLS = ['buildah', 'podman'] as const;
const FORMATS = ['gzip', 'zstd', 'zstd:chunked'] as const;
let directory: string;
/** One for each compression: these tools do not push again what a registry has in another one. */
let registries: Record<(typeof FORMATS)[number], TestRegistry>;
let qcow: Buffer;
const at = (...names: string[]) => join(directory, ...names);

/** Runs a tool on storage of the test's own. */
const tool = (name: (typeof TOOLS)[number], ...args: string[]) =>
  run(name, ['--root', at(name), '--runroot', at(`${name}-run`), '--storage-driver', 'vfs', ...args], {
    cwd: directory,
    env: { ...process.env, BUILDAH_ISOLATION: 'chroot', HOME: at('home') },
  });

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'makers-'));
  registries = {
    gzip: await startRegistry(),
    zstd: await startRegistry(),
    'zstd:chunked': await startRegistry(),
  };
  for (const name of ['base/bin', 'context/qcows', 'context/profiles', 'home'])
    mkdirSync(at(name), { recursive: true });
  copyFileSync('/bin/busybox', at('base/bin/busybox'));
  writeFileSync(at('base/Dockerfile'), 'FROM scratch\nCOPY bin /bin/\n');
  qcow = randomBytes(3_000_000);
  writeFileSync(at('context/qcows/control-plane.qcow2'), qcow);
  writeFileSync(at('context/profiles/profile_multistrap.json'), MULTISTRAP_PROFILE);
  writeFileSync(at('context/profiles/profile_qcow_control-plane.json'), QCOW_PROFILE);
  writeFileSync(at('context/function'), randomBytes(1_500_000));
  writeFileSync(
    at('context/Dockerfile'),
    [
      'FROM localhost/base',
      'COPY qcows /qcows/',
      'COPY profiles /profiles/',
      'COPY function /usr/local/bin/function',
      'ENTRYPOINT ["function"]',
    ].join('\n'),
  );
  for (const name of TOOLS) {
    const build = name === 'buildah' ? ['bud'] : ['build'];
    await tool(name, ...build, '--tag', 'localhost/base', at('base'));
    await tool(name, ...build, '--layers', '--tag', 'localhost/bundle', at('context'));
  }
});
afterAll(async () => {
  for (const registry of Object.values(registries)) await registry.stop();
  rmSync(directory, { recursive: true, force: true });
});

describe.each(TOOLS)('%s', (name) => {
  it.each(FORMATS)('pushes layers as %s', async (format) => {
    const registry = registries[format];
    const reference = `${registry.host}/site/${name}:v1`;
    const options = ['--tls-verify=false', '--compression-format', format];
    await tool(name, 'push', ...options, 'localhost/bundle', `docker://${reference}`);
    const manifest = await fetch(`${registry.url}/v2/site/${name}/manifests/v1`, {
      headers: { accept: 'application/vnd.oci.image.manifest.v1+json' },
    });
    const { layers } = (await manifest.json()) as {
      layers: { mediaType: string; annotations?: Record<string, string> }[];
    };
    expect(layers).toHaveLength(4);
    const compression = format === 'gzip' ? 'gzip' : 'zstd';
    for (const { mediaType, annotations = {} } of layers) {
      expect(mediaType).toBe(`application/vnd.oci.image.layer.v1.tar+${compression}`);
      const isChunked = Object.keys(annotations).some((key) => key.includes('zstd-chunked'));
      expect(isChunked).toBe(format === 'zstd:chunked');
    }
    for (const verify of ['partial', 'full'] as const) {
      const reading = await readBundle(reference, { cache: false, verify });
      expect(reading.profiles.map(({ json }) => json)).toEqual([MULTISTRAP_PROFILE, QCOW_PROFILE]);
      expect(reading.verification).toBe(verify);
      if (verify === 'full') continue;
      expect(reading.cost.requests).toBeLessThanOrEqual(5);
      expect(reading.cost.bytes).toBeLessThan(64 * KIB);
    }
    const target = at(`copied-${name}-${format.replace(':', '-')}`);
    await copyBundle(reference, target, [], { cache: false });
    expect(readFileSync(join(target, 'control-plane.qcow2')).equals(qcow)).toBe(true);
  });

  it('saves archives of both kinds', async () => {
    for (const [transport, file] of [
      ['oci-archive', 'oci.tar'],
      ['docker-archive', 'docker.tar'],
    ]) {
      const archive = `${transport}:${at(`${name}-${file}`)}`;
      await tool(name, 'push', 'localhost/bundle', archive);
      const reading = await readBundle(archive, { verify: 'full' });
      expect(reading.profiles.map(({ json }) => json)).toEqual([MULTISTRAP_PROFILE, QCOW_PROFILE]);
    }
  });
});

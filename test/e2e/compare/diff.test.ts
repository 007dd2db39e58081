// `image-builder diff` on published bundles: what it reads, from where, and of whom.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assembleBundle, writeQcowLayer } from '../../../image-builder/bundle/write/assemble.ts';
import { addToLayout } from '../../../image-builder/oci/layout/write-directory.ts';
import { predecessorBundle } from '../../support/bundles.ts';
import { writeLayout } from '../../support/images.ts';
import { executable, run } from '../support/executables.ts';
import { pushAsDocker, skopeoCopy, startRegistry, type TestRegistry } from '../support/registry.ts';

const directory = mkdtempSync(join(tmpdir(), 'image-builder-test-'));
const at = (name: string) => join(directory, name);
const MIB = 2 ** 20;
let registry: TestRegistry;

/** A bundle with one QCOW of 8 MiB, as our stages write it. */
async function publish(tag: string, version: string, sysctl: string, megabytes: number): Promise<void> {
  const qcow = randomBytes(8 * MIB);
  qcow.writeUInt32BE(0x514649fb, 0);
  qcow.writeBigUInt64BE(BigInt(megabytes * MIB), 24);
  writeFileSync(at(`${tag}.qcow2`), qcow);
  const partitions = [{ number: 1, start: MIB, size: (megabytes - 2) * MIB, filesystem: 'ext4', mount: '/' }];
  const image = await writeQcowLayer(
    { path: at(`${tag}.qcow2`), fileName: 'node.qcow2', partitions },
    at(`${tag}.tar`),
    { mtime: 1 },
  );
  const packages = Object.fromEntries(
    Array.from({ length: 600 }, (_, n) => [`package-${n}`, { version: '1.0-1', architecture: 'amd64' }]),
  );
  const bundle = await assembleBundle(
    {
      qcows: { node: image },
      profiles: [
        {
          path: '/profiles/profile_multistrap.json',
          name: 'profile_multistrap',
          json: JSON.stringify({ k8s_version: '1.34.2', sysctl: [{ name: 'kernel.panic', value: sysctl }] }),
        },
      ],
      packages: { ...packages, 'package-7': { version, architecture: 'amd64' } },
      created: 1,
      architecture: 'amd64',
      labels: {},
    },
    at(`${tag}.bundle`),
  );
  await addToLayout(bundle, at('layout'), tag);
  const target = `docker://${registry.host}/site/bundle:${tag}`;
  await skopeoCopy(`oci:${at('layout')}:${tag}`, target, '--preserve-digests');
}

beforeAll(async () => {
  registry = await startRegistry();
  await publish('v1', '1.0~rc1-1', '3', 64);
  await publish('v2', '1.0-1', '10', 96);
  await writeLayout(at('predecessor'), predecessorBundle({ qcowBytes: 4 * MIB }));
  await pushAsDocker(`${at('predecessor')}:v1`, `${registry.host}/site/predecessor:v1`);
}, 60_000);

afterAll(async () => {
  await registry.stop();
  rmSync(directory, { recursive: true, force: true });
});

const diff = (...argv: string[]) =>
  run([executable('image-builder'), '--verbose', 'diff', ...argv, '--no-cache'], {
    env: { ...process.env, IMAGE_BUILDER_STORE: at('store') },
  });
const inRegistry = (name: string) => `${registry.host}/site/${name}`;

test('two bundles of a registry, by some kilobytes', () => {
  const { status, stdout, stderr } = diff(inRegistry('bundle:v1'), inRegistry('bundle:v2'), '-o', 'json');
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    identical: false,
    variables: [{ path: 'sysctl[name=kernel.panic].value', before: '3', after: '10' }],
    packages: [{ name: 'package-7', change: 'upgraded', before: '1.0~rc1-1', after: '1.0-1' }],
    images: [
      {
        name: 'node',
        change: 'changed',
        virtualSize: { before: 64 * MIB, after: 96 * MIB },
        partitions: [{ path: 'partition 1.size', before: 62 * MIB, after: 94 * MIB }],
      },
    ],
    unknown: [],
  });
  const [, count, kibibytes] = /^(\d+) requests, ([\d.]+) KiB$/m.exec(stderr) ?? [];
  expect(Number(count)).toBeLessThanOrEqual(16);
  expect(Number(kibibytes)).toBeLessThan(200);
});

test('one from a registry, one from a layout', () => {
  const same = diff(inRegistry('bundle:v1'), `oci:${at('layout')}:v1`, '--exit-code');
  expect([same.status, same.stdout]).toEqual([0, expect.stringContaining('The two are identical.')]);
  const other = diff(inRegistry('bundle:v1'), `oci:${at('layout')}:v2`, '--exit-code', '-o', 'markdown');
  expect(other.status).toBe(1);
  expect(other.stdout).toContain('| <code>package-7</code> | upgraded | <code>1.0&#126;rc1-1</code>');
});

test('a bundle of the predecessor, as far as it tells, and without reading its disks', () => {
  const { status, stdout, stderr } = diff(
    inRegistry('predecessor:v1'),
    inRegistry('bundle:v2'),
    '-o',
    'json',
  );
  expect(status).toBe(0);
  const comparison = JSON.parse(stdout);
  expect(comparison.packages).toEqual([]);
  expect(comparison.unknown).toContain(`${inRegistry('predecessor:v1')} does not list its packages`);
  expect(comparison.variables).toContainEqual({
    path: 'k8s_version',
    before: '1.21.2-00',
    after: '1.34.2',
    profiles: ['profile_multistrap'],
  });
  expect(stderr).toMatch(/^\d+ requests, [\d.]+ KiB$/m);
});

test('what is nowhere', () => {
  expect(diff(`sha256:${'0'.repeat(64)}`, inRegistry('bundle:v1')).stderr).toContain(
    'has no bundle with the digest',
  );
  expect(diff('abcdef0123', inRegistry('bundle:v1')).stderr).toContain('with the key abcdef0123');
  expect(diff('name~3', inRegistry('bundle:v1')).stderr).toContain('the history of name');
});

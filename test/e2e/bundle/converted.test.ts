// Our bundles after other tools have converted them: marks of layers are gone, the history is not.
import { join } from 'node:path';
import { readBundle } from '../../../image-builder/bundle/read/read-bundle.ts';
import { listFiles } from '../../../image-builder/bundle/read/small-files.ts';
import { skopeoCopy, startRegistry, type TestRegistry } from '../support/registry.ts';
import { bundleOf, makeQcow, temporaryDirectory, writeBundle } from './support.ts';

const cwd = temporaryDirectory();
let registry: TestRegistry;
const options = { cache: false } as const;

beforeAll(async () => {
  const qcow = join(cwd, 'a.img');
  await makeQcow(qcow, 6);
  await writeBundle(bundleOf({ 'control-plane': qcow }), { kind: 'layout', path: 'own', tag: 'v1' }, { cwd });
  registry = await startRegistry();
}, 120_000);
afterAll(() => registry.stop());

/** What each conversion needs beside source and target. */
const CONVERSIONS: [string, string[]][] = [
  ['in the format of Docker', ['--format', 'v2s2']],
  ['compressed by gzip', ['--dest-compress', '--dest-compress-format', 'gzip']],
  ['compressed by zstd', ['--dest-compress', '--dest-compress-format', 'zstd']],
];

it.each(CONVERSIONS)('%s, no disk image is read for the profiles', async (name, flags) => {
  const reference = `${registry.host}/site/${name.replaceAll(' ', '-').toLowerCase()}:v1`;
  await skopeoCopy(`oci:${join(cwd, 'own')}:v1`, `docker://${reference}`, ...flags);
  await expectProfiles(reference);
  const listing = await listFiles(reference, ['/profiles'], options);
  expect(listing.files.map(({ path }) => path)).toEqual([
    '/profiles/artifacts.json',
    '/profiles/profile_multistrap.json',
  ]);
  expect(listing.cost.bytes).toBeLessThan(64 * 1024);
  // Whoever does not believe the history gets the same.
  const full = await readBundle(reference, { ...options, verify: 'full' });
  expect(full).toMatchObject({
    verification: 'full',
    artifacts: { qcows: { 'control-plane': { format: 'qcow2' } } },
  });
});

it('saved as an archive of Docker and published again, neither', async () => {
  const archive = `docker-archive:${join(cwd, 'saved.tar')}`;
  await skopeoCopy(`oci:${join(cwd, 'own')}:v1`, `${archive}:bundle:v1`);
  await skopeoCopy(`${archive}:bundle:v1`, `docker://${registry.host}/site/again:v1`);
  await expectProfiles(`${registry.host}/site/again:v1`);
});

async function expectProfiles(reference: string): Promise<void> {
  const reading = await readBundle(reference, options);
  expect(reading.profiles.map(({ json }) => json)).toEqual(['{"k8s_version":"1.34.2-1.1"}']);
  expect(reading.artifacts.qcows['control-plane']?.size).toBeGreaterThan(6_000_000);
  expect(reading.cost.requests).toBeLessThanOrEqual(3);
  expect(reading.cost.bytes).toBeLessThan(64 * 1024);
}

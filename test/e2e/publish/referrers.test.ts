// What refers to a bundle travels with it: between layouts, archives and registries with and without a list of their own,
// and as other tools see and make it.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSbom } from '../../../image-builder/bundle/read/read-sbom.ts';
import { pushReference } from '../../../image-builder/oci/distribution/push.ts';
import { tagImage } from '../../../image-builder/oci/distribution/tag.ts';
import { parseReference, type RegistryReference } from '../../../image-builder/oci/reference.ts';
import { bundleOf, makeQcow, run, writeBundle } from '../bundle/support.ts';
import { type ReferrersRegistry, startReferrersRegistry } from '../support/referrers-registry.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';

const oras = join(__dirname, '../../../.cache/bin/oras');
const SPDX = 'application/spdx+json';

let directory: string;
let plain: TestRegistry;
let listing: ReferrersRegistry;
let digest: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'image-builder-referrers-'));
  [plain, listing] = await Promise.all([startRegistry(), startReferrersRegistry()]);
  const qcows = await Promise.all(
    ['control-plane', 'worker'].map(async (name) => {
      const [path, sbom] = [join(directory, name), join(directory, `${name}.spdx.json`)];
      await makeQcow(path, 1);
      await writeFile(sbom, JSON.stringify({ spdxVersion: 'SPDX-2.3', name }));
      return { name, path, sbom };
    }),
  );
  const bundle = { ...bundleOf({}), qcows };
  const written = await writeBundle(
    bundle,
    { kind: 'layout', path: 'layout', tag: 'v1' },
    { cwd: directory },
  );
  digest = written.reference.digest;
  await writeBundle(bundle, { kind: 'archive', path: 'archive.tar', tag: 'v1' }, { cwd: directory });
});
afterAll(async () => {
  await Promise.all([plain.stop(), listing.stop()]);
  await rm(directory, { recursive: true, force: true });
});

const target = (host: string, name: string) => parseReference(`${host}/${name}`) as RegistryReference;
const push = async (from: string, host: string, name: string) =>
  pushReference(parseReference(from), target(host, name), { report: () => {} });
const sbomOf = async (reference: string, disk = 'control-plane') =>
  JSON.parse((await readSbom(reference, disk, { cache: false })).toString()).name;

/** What oras finds, by the artifact types of the manifests: the registry in memory lists wrong ones. */
async function discovered(reference: string, ...options: string[]): Promise<string[]> {
  const { stdout } = await run(oras, ['discover', '--format', 'json', ...options, reference]);
  const { referrers = [] } = JSON.parse(stdout) as { referrers?: { digest: string }[] };
  const types = referrers.map(async (one) => {
    const name = `${reference.replace(/:v1$|:stable$/, '')}@${one.digest}`;
    const manifest = await run(oras, ['manifest', 'fetch', ...options, name]);
    return JSON.parse(manifest.stdout).artifactType;
  });
  return (await Promise.all(types)).sort();
}

test('a layout and an archive have a bill of materials for each disk, which oras finds', async () => {
  expect(await discovered(`${directory}/layout:v1`, '--oci-layout')).toEqual([SPDX, SPDX]);
  for (const reference of [`oci:${directory}/layout:v1`, `oci-archive:${directory}/archive.tar:v1`])
    expect(await Promise.all([sbomOf(reference), sbomOf(reference, 'worker.qcow2')])).toEqual([
      'control-plane',
      'worker',
    ]);
  await expect(readSbom(`oci:${directory}/layout:v1`, undefined, {})).rejects.toMatchObject({
    code: 'SBOM_MISSING',
    hint: 'Choose one with --disk: control-plane, worker.',
  });
});

describe.each([
  ['without a list of referrers', () => plain.host],
  ['with a list of referrers', () => listing.host],
])('a registry %s', (_, hostOf) => {
  test('gets them with the bundle, from a layout and from an archive', async () => {
    const host = hostOf();
    expect((await push(`oci:${directory}/layout:v1`, host, 'site/a:v1')).digest).toBe(digest);
    await push(`oci-archive:${directory}/archive.tar:v1`, host, 'site/b:v1');
    for (const name of ['site/a:v1', 'site/b:v1']) {
      expect(await discovered(`${host}/${name}`, '--plain-http')).toEqual([SPDX, SPDX]);
      expect(await sbomOf(`${host}/${name}`, 'worker')).toBe('worker');
    }
  });

  test('what others have attached goes along, also when the image is there already', async () => {
    const host = hostOf();
    const copy = `from-${host.split(':')[1]}/copy:v1`;
    const note = join(directory, 'note.txt');
    await writeFile(note, 'tested by hand');
    const attach = [
      'attach',
      '--plain-http',
      '--disable-path-validation',
      '--artifact-type',
      'application/vnd.site.note',
    ];
    await push(`${host}/site/a:v1`, plain.host, copy);
    await run(oras, [...attach, `${host}/site/a:v1`, note]);
    await push(`${host}/site/a:v1`, plain.host, copy);
    await push(`${host}/site/a:v1`, listing.host, copy);
    for (const to of [plain.host, listing.host]) {
      expect(await discovered(`${to}/${copy}`, '--plain-http')).toEqual([
        SPDX,
        SPDX,
        'application/vnd.site.note',
      ]);
      expect(await sbomOf(`${to}/${copy}`)).toBe('control-plane');
    }
  });
});

// The registry in memory cannot mount, since its blobs are in no repository.
test('another repository gets them by a tag', async () => {
  await tagImage(target(plain.host, 'site/a:v1'), [target(plain.host, 'prod/a:stable')]);
  const types = [SPDX, SPDX, 'application/vnd.site.note'];
  expect(await discovered(`${plain.host}/prod/a:stable`, '--plain-http')).toEqual(types);
});

test('writers at the same time lose nothing', async () => {
  await push(`oci:${directory}/layout:v1`, plain.host, 'site/busy:v1');
  const sources = await Promise.all(
    [0, 1, 2].map(async (number) => {
      const layout = join(directory, `layout-${number}`);
      await run('cp', ['-r', join(directory, 'layout'), layout]);
      const note = join(directory, `note-${number}`);
      await writeFile(note, `note ${number}`);
      await run(oras, [
        'attach',
        '--oci-layout',
        '--disable-path-validation',
        '--artifact-type',
        `note/${number}`,
        `${layout}:v1`,
        note,
      ]);
      return layout;
    }),
  );
  await Promise.all(sources.map((layout) => push(`oci:${layout}:v1`, plain.host, 'site/busy:v1')));
  expect(await discovered(`${plain.host}/site/busy:v1`, '--plain-http')).toEqual([
    SPDX,
    SPDX,
    'note/0',
    'note/1',
    'note/2',
  ]);
});

test('a bundle that takes the place of another takes its bills of materials away', async () => {
  const path = join(directory, 'control-plane');
  const sbom = join(directory, 'newer.spdx.json');
  await writeFile(sbom, JSON.stringify({ name: 'newer' }));
  const newer = { ...bundleOf({}, { created: 1 }), qcows: [{ name: 'control-plane', path, sbom }] };
  await run('cp', ['-r', join(directory, 'layout'), join(directory, 'replaced')]);
  await writeBundle(newer, { kind: 'layout', path: 'replaced', tag: 'v1' }, { cwd: directory });
  const { manifests } = JSON.parse(await readFile(join(directory, 'replaced/index.json'), 'utf8'));
  expect(manifests).toHaveLength(2);
  expect(await sbomOf(`oci:${directory}/replaced:v1`)).toBe('newer');
});

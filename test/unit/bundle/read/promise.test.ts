// A digest in a reference is a promise: whatever a registry, a mirror or the cache says, what is delivered is covered by
// it. A tag promises nothing, and the user is told.

import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readBundle } from '../../../../image-builder/bundle/read/read-bundle.ts';
import type { ReadBundleOptions } from '../../../../image-builder/bundle/read/read-options.ts';
import { listFiles, readFiles } from '../../../../image-builder/bundle/read/small-files.ts';
import { MULTISTRAP_PROFILE, ownBundle, predecessorBundle } from '../../../support/bundles.ts';
import { makeTar, sha256, type TestImage, type TestLayer, writeLayout } from '../../../support/images.ts';
import { type LayoutServer, type ServedRequest, send, serveLayouts } from '../../../support/layout-server.ts';

jest.setTimeout(30_000);

let directory: string;
let server: LayoutServer | undefined;
let count = 0;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'promise-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));
afterEach(async () => {
  await server?.stop();
  server = undefined;
});

const blob = (layout: string, digest: string) =>
  readFileSync(join(layout, 'blobs', digest.replace(':', '/')));
const manifestOf = (layout: string) => {
  const index = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8'));
  const { digest } = index.manifests[0];
  return { digest, ...JSON.parse(blob(layout, digest).toString()) } as {
    digest: string;
    layers: { digest: string; size: number }[];
  };
};
async function layoutOf(image: TestImage): Promise<string> {
  const layout = join(directory, `layout-${count++}`);
  await writeLayout(layout, { ...image, tag: 'v1' });
  return layout;
}

const OLD = '{"k8s_version":"1.32.3"}';
const NEW = '{"k8s_version":"6.6.66"}';
/** So many entries in order that a reader dares to stop, and so much behind them that it is worth it. */
const FILLER = [
  ...Array.from({ length: 120 }, (_, index) => ({
    name: `usr/${String(index).padStart(3, '0')}`,
    content: 'x',
  })),
  { name: 'usr/large', content: randomBytes(6_000_000) },
];
/** A layer with a profile, and so much else that it is not read whole by a tag. */
const large = (json: string, compression: 'none' | 'gzip'): TestLayer => ({
  entries: [
    { name: 'profiles/', type: 'directory' },
    { name: 'profiles/profile_a.json', content: json },
    { name: 'qcows/', type: 'directory' },
    { name: 'qcows/a.qcow2', content: 'q' },
    { name: 'qcows/a.qcow2.md5sum', content: `${(json === OLD ? '0' : '6').repeat(32)}\n` },
    ...FILLER,
  ],
  compression,
});

/** Serves an image; as long as `lies`, with the layers of another one. */
async function serveForged(compression: 'none' | 'gzip') {
  const honest = await layoutOf({ layers: [large(OLD, compression)], withoutHistory: true });
  const forged = await layoutOf({ layers: [large(NEW, compression)], withoutHistory: true });
  const [layer] = manifestOf(honest).layers;
  const content = blob(forged, manifestOf(forged).layers[0]?.digest ?? '');
  const state = { lies: true, digest: manifestOf(honest).digest };
  const isLayer = ({ path }: ServedRequest) => path.endsWith(layer?.digest ?? '-');
  server = await serveLayouts({
    repositories: { 'site/x': honest },
    intercept: (request, response, answer) => {
      if (!state.lies || !isLayer(request)) return false;
      const range = /bytes=(\d+)-(\d*)/.exec(request.headers.range ?? '');
      const [start, end] = range ? [Number(range[1]), range[2] ? Number(range[2]) + 1 : undefined] : [0];
      send(response, request, { ...answer, body: content.subarray(start, end) });
      return true;
    },
  });
  return state;
}
const options = (more: ReadBundleOptions = {}): ReadBundleOptions => ({
  cache: false,
  environment: {},
  limits: { retries: 0 },
  ...more,
});

describe.each(['none', 'gzip'] as const)('a forged layer (%s)', (compression) => {
  it('is refused under a digest, with and without a tag, whatever is read', async () => {
    const { digest } = await serveForged(compression);
    for (const reference of [`${server?.host}/site/x@${digest}`, `${server?.host}/site/x:v1@${digest}`]) {
      await expect(readBundle(reference, options())).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
      await expect(readFiles(reference, ['/profiles/profile_a.json'], options())).rejects.toMatchObject({
        code: 'DIGEST_MISMATCH',
      });
      await expect(listFiles(reference, ['/profiles'], options())).rejects.toMatchObject({
        code: 'DIGEST_MISMATCH',
      });
    }
  });

  it('is not noticed by a tag, which is told, and never remembered as more', async () => {
    const state = await serveForged(compression);
    const cache = { cache: join(directory, `cache-${count++}`) };
    const [tag, pinned] = [`${server?.host}/site/x:v1`, `${server?.host}/site/x@${state.digest}`];
    const partial = [
      await readBundle(tag, options(cache)),
      await readBundle(pinned, options({ ...cache, verify: 'partial' })),
    ];
    for (const reading of partial) {
      expect(reading.profiles[0]?.json).toBe(NEW);
      expect(reading.verification).toBe('partial');
      expect(reading.warnings).toEqual([expect.stringContaining('was read in part')]);
    }
    state.lies = false;
    for (const reference of [tag, pinned]) {
      expect((await readBundle(reference, options(cache))).profiles[0]?.json).toBe(OLD);
      const offline = readBundle(reference, options({ ...cache, offline: true }));
      if (reference === tag) await expect(offline).rejects.toMatchObject({ code: 'OFFLINE' });
      else expect((await offline).profiles[0]?.json).toBe(OLD);
    }
  });

  it('is read whole under a digest, once', async () => {
    const state = await serveForged(compression);
    state.lies = false;
    const reading = await readBundle(`${server?.host}/site/x@${state.digest}`, options());
    expect(reading).toMatchObject({ verification: 'full', warnings: [] });
    expect(reading.profiles[0]?.json).toBe(OLD);
    expect(server?.requests.filter(({ step }) => step === 'blob')).toHaveLength(1);
  });
});

it('takes nothing from a layer that was not checked for the artifacts either', async () => {
  // The profiles are small and checked; the images' checksums lie in a large layer.
  const layers = (md5: string): TestLayer[] => [
    { entries: [{ name: 'etc/', type: 'directory' }], history: 'RUN x', compression: 'none' },
    {
      entries: [
        { name: 'qcows/', type: 'directory' },
        { name: 'qcows/a.qcow2', content: randomBytes(1_500_000) },
        { name: 'qcows/a.qcow2.md5sum', content: `${md5.repeat(32)}\n` },
      ],
      compression: 'none',
      history: 'COPY qcows /qcows/',
    },
    {
      entries: [
        { name: 'profiles/', type: 'directory' },
        { name: 'profiles/profile_a.json', content: OLD },
      ],
      compression: 'none',
      history: 'COPY profiles /profiles/',
    },
  ];
  const layout = await layoutOf({ layers: layers('0') });
  const { digest } = manifestOf(layout);
  server = await serveLayouts({ repositories: { 'site/x': layout } });
  const byTag = await readBundle(`${server.host}/site/x:v1`, options());
  expect(byTag).toMatchObject({
    verification: 'partial',
    artifacts: { qcows: { a: { md5: '0'.repeat(32) } } },
  });
  const pinned = await readBundle(`${server.host}/site/x@${digest}`, options());
  expect(pinned).toMatchObject({ verification: 'verified', artifacts: { qcows: {} } });
  // All of it is read anyway.
  const full = await readBundle(`${server.host}/site/x:v1`, options({ verify: 'full' }));
  expect(full).toMatchObject({ verification: 'full', artifacts: { qcows: { a: { md5: '0'.repeat(32) } } } });
});

it("needs of the predecessor's bundle neither images nor function, pinned as well", async () => {
  const layout = await layoutOf(predecessorBundle({ qcowBytes: 6_000_000 }));
  const { digest, layers } = manifestOf(layout);
  server = await serveLayouts({ repositories: { 'site/x': layout } });
  const reading = await readBundle(`${server.host}/site/x:v1@${digest}`, options());
  expect(reading.profiles[0]?.json).toBe(MULTISTRAP_PROFILE);
  expect(reading).toMatchObject({ verification: 'verified', warnings: [] });
  const fetched = (index: number) =>
    server?.requests.filter(({ path }) => path.endsWith(layers[index]?.digest ?? '-')).length;
  expect([0, 1, 2, 3].map(fetched)).toEqual([1, 0, 1, 0]);
});

it('reads for a single file what is smaller: layers that were left out above it, or those that may hold links', async () => {
  const path = '/profiles/profile_multistrap.json';
  const bundle = predecessorBundle({ qcowBytes: 3_000_000 });
  const [base, images, profiles, program] = bundle.layers as [TestLayer, TestLayer, TestLayer, TestLayer];
  const heavy = {
    ...base,
    entries: [...(base.entries ?? []), { name: 'var/large', content: randomBytes(2_500_000) }],
  };
  for (const [lowest, fetched] of [
    [base, [1, 0, 1, 0]],
    [heavy, [0, 0, 1, 1]],
  ] as const) {
    const layout = await layoutOf({ ...bundle, layers: [lowest, images, profiles, program] });
    const { digest, layers } = manifestOf(layout);
    await server?.stop();
    server = await serveLayouts({ repositories: { 'site/x': layout } });
    const reading = await readFiles(`${server.host}/site/x@${digest}`, [path], options());
    expect(reading.files[0]?.content.toString()).toBe(MULTISTRAP_PROFILE);
    expect(reading).toMatchObject({ verification: 'verified', warnings: [] });
    const asked = layers.map(
      (layer) => server?.requests.filter((one) => one.path.endsWith(layer.digest)).length,
    );
    expect(asked).toEqual(fetched);
  }
});

it('reads ours as before', async () => {
  const layout = await layoutOf(ownBundle());
  server = await serveLayouts({ repositories: { 'site/x': layout } });
  const reading = await readBundle(`${server.host}/site/x@${manifestOf(layout).digest}`, options());
  expect(reading).toMatchObject({ verification: 'full', cost: { requests: 2 }, warnings: [] });
});

describe('a COPY whose way leads through a link', () => {
  const profile = (content: string) => ({ name: 'profiles/profile_a.json', content });
  const link = { name: 'data', type: 'symlink' as const, linkname: 'profiles' };
  const upper = { entries: [profile(NEW)], history: 'COPY profile_a.json /data/ # buildkit' };
  const read = async (layers: TestLayer[], pinned: boolean) => {
    const layout = await layoutOf({ layers });
    const digest = pinned ? `@${manifestOf(layout).digest}` : ':v1';
    return (await readBundle(`oci:${layout}${digest}`)).profiles[0]?.json;
  };

  it.each([true, false])('is read when the link is seen (pinned: %s)', async (pinned) => {
    const base = { entries: [profile(OLD), link], history: 'COPY rootfs / # buildkit' };
    expect(await read([base, upper], pinned)).toBe(NEW);
    // On the way, not at its end.
    const deep = { ...upper, history: 'COPY profile_a.json /data/deep/er/ # buildkit' };
    expect(await read([base, deep], pinned)).toBe(NEW);
  });

  it('is read under a digest also when the link is in the base image', async () => {
    const base = { entries: [link], history: 'ADD file:1 in / ' };
    const middle = { entries: [profile(OLD)], history: 'COPY profiles /profiles # buildkit' };
    expect(await read([base, middle, upper], true)).toBe(NEW);
  });

  it('is read when another COPY may have brought the link', async () => {
    const base = { entries: [profile(OLD)], history: 'COPY profiles /profiles # buildkit' };
    const links = {
      entries: [{ ...link, name: 'srv/data', linkname: '../profiles' }],
      history: 'COPY srv /srv/',
    };
    const through = { ...upper, history: 'COPY profile_a.json /srv/data/ # buildkit' };
    for (const pinned of [true, false]) expect(await read([base, links, through], pinned)).toBe(NEW);
  });
});

it('scans a layer once, however often it occurs', async () => {
  const tar = await makeTar([
    { name: 'profiles/profile_a.json', content: OLD },
    { name: 'large', content: randomBytes(1_200_000) },
  ]);
  const layers = Array(12).fill({ tar, compression: 'none' });
  const layout = await layoutOf({ layers, withoutHistory: true });
  server = await serveLayouts({ repositories: { 'site/x': layout } });
  const reading = await readBundle(`${server.host}/site/x:v1`, options({ verify: 'full' }));
  expect(reading.profiles[0]?.json).toBe(OLD);
  const [{ digest = '-' } = {}] = manifestOf(layout).layers;
  expect(server.requests.filter(({ path }) => path.endsWith(digest))).toHaveLength(1);
});

it('does not say of a host that it has what another one had', async () => {
  const layout = await layoutOf(ownBundle());
  const { digest } = manifestOf(layout);
  server = await serveLayouts({ repositories: { 'site/x': layout } });
  const other = await serveLayouts({ repositories: { 'site/y': layout } });
  const cache = { cache: join(directory, `cache-${count++}`) };
  await readBundle(`${server.host}/site/x@${digest}`, options(cache));
  for (const elsewhere of [`${other.host}/site/x@${digest}`, `${server.host}/site/y@${digest}`]) {
    await expect(readBundle(elsewhere, options(cache))).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(readBundle(elsewhere, options({ ...cache, offline: true }))).rejects.toMatchObject({
      code: 'OFFLINE',
    });
  }
  // One that has it is asked for that alone.
  const reading = await readBundle(`${other.host}/site/y@${digest}`, options(cache));
  expect(reading.cost.requests).toBe(1);
  expect((await readBundle(`${other.host}/site/y@${digest}`, options(cache))).cost.requests).toBe(0);
  await other.stop();
});

it('is a promise of archives as well', async () => {
  const layer = await makeTar([{ name: 'profiles/profile_a.json', content: OLD }]);
  const archive = async (diffId: string) => {
    const rootfs = { type: 'layers', diff_ids: [diffId] };
    const content = JSON.stringify({ os: 'linux', architecture: 'amd64', rootfs });
    const manifest = [{ Config: 'config.json', RepoTags: ['x:v1'], Layers: ['layer.tar'] }];
    const file = join(directory, `archive-${count++}.tar`);
    const entries = [
      { name: 'manifest.json', content: JSON.stringify(manifest) },
      { name: 'config.json', content },
      { name: 'layer.tar', content: layer },
    ];
    writeFileSync(file, await makeTar(entries));
    return { file, id: sha256(content) };
  };
  const honest = await archive(sha256(layer));
  const reading = await readBundle(`docker-archive:${honest.file}@${honest.id}`);
  expect(reading.profiles[0]?.json).toBe(OLD);
  const other = await archive(sha256('another'));
  await expect(readBundle(`docker-archive:${other.file}@${honest.id}`)).rejects.toMatchObject({
    code: 'DIGEST_MISMATCH',
  });
  await expect(readBundle(`docker-archive:${other.file}@${other.id}`)).rejects.toMatchObject({
    code: 'DIGEST_MISMATCH',
  });
});

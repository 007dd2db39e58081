// The images that disks carry, from a real registry that stands in for registry.k8s.io as a mirror with a path: what is
// pulled, how it lies in the store, and what is said when it cannot be had.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { ImageBuilderError } from '../../../../image-builder/base/diagnostics/error.ts';
import { buildStages } from '../../../../image-builder/build/build.ts';
import { type ContainedBuild, fetchingStages } from '../../../../image-builder/build/container/protocol.ts';
import { runContainedBuild } from '../../../../image-builder/build/container/worker.ts';
import { resolveBuild } from '../../../../image-builder/spec/variables/resolve.ts';
import { withPinnedImages } from '../../../../image-builder/stages/preload/pin-images.ts';
import { type BlobDescriptor, LayoutWriter, sha256 } from '../../../support/images.ts';
import { PERSON } from '../../../support/policies.ts';
import { skopeoCopy, startRegistry, type TestRegistry } from '../../support/registry.ts';

const directory = mkdtempSync(join(tmpdir(), 'preload-'));
const layout = join(directory, 'source');
let registry: TestRegistry;
/** By tag in {@link layout}. */
const images: Record<string, BlobDescriptor> = {};
const shared = {
  entries: [{ name: 'base', content: Buffer.alloc(300_000, 'base') }],
  compression: 'none' as const,
};

beforeAll(async () => {
  const writer = new LayoutWriter(layout);
  const layer = (content: string) => ({ entries: [{ name: 'program', content }] });
  const image = (content: string, architecture = 'amd64') =>
    writer.image({ layers: [shared, layer(content)], platform: { os: 'linux', architecture } });
  const add = (tag: string, descriptor: BlobDescriptor) => {
    images[tag] = descriptor;
    writer.tag(descriptor, tag);
  };
  add('both', writer.index([await image('list, amd64'), await image('list, arm64', 'arm64')]));
  add('one', await image('one'));
  add('arm64', await image('arm', 'arm64'));
  add('arm64-list', writer.index([await image('arm list', 'arm64')]));
  registry = await startRegistry();
  for (const tag of Object.keys(images))
    await skopeoCopy(
      `oci:${layout}:${tag}`,
      `docker://${registry.host}/k8s/${tag}:v1`,
      '--all',
      '--preserve-digests',
    );
});
afterAll(async () => {
  await registry?.stop();
  rmSync(directory, { recursive: true, force: true });
});

let stores = 0;
const newStore = () => join(directory, `store-${stores++}`);

const resolve = (references: string[], build: object = {}) =>
  resolveBuild(
    'node',
    {
      kubernetes: {
        version: '1.37.2',
        preload: references,
        mirrors: { 'registry.k8s.io': [`${registry.url}/k8s`] },
      },
      ...build,
    },
    { cwd: directory, aptDirectory: '/nonexistent' },
  );

/** Runs the stage alone, and gives the directory of its result. */
async function preload(references: string[], store: string, build: object = {}): Promise<string> {
  const resolved = await resolve(references, build);
  const entries = await buildStages(resolved, ['preload'], {
    cwd: directory,
    policy: PERSON,
    store,
    report: () => {},
    signal: new AbortController().signal,
  });
  return entries.preload?.directory ?? '';
}

const pinned = (tag: string) => `registry.k8s.io/${tag}:v1@${images[tag]?.digest}`;

/** Code and message of each finding. */
async function failureOf(work: Promise<unknown>): Promise<string[]> {
  const error = await work.then(
    () => new Error('nothing failed'),
    (failure: unknown) => failure,
  );
  if (!(error instanceof ImageBuilderError)) throw error;
  return error
    .findings()
    .map(({ field, message, tags }) => `${field} ${tags?.code} ${message.split('\n')[0]}`);
}

const filesOf = (path: string) =>
  Object.fromEntries(
    readdirSync(path, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !['entry.json', 'snapshot.json'].includes(entry.name))
      .map((entry) => [entry.name, sha256(readFileSync(join(entry.parentPath, entry.name)))]),
  );

test('one layout has the images of the architecture, by their names, and each blob once', async () => {
  const store = newStore();
  const result = await preload(['registry.k8s.io/one:v1', 'registry.k8s.io/both:v1'], store);
  const index = JSON.parse(readFileSync(join(result, 'layout/index.json'), 'utf8'));
  expect(
    index.manifests.map(({ digest, annotations }: BlobDescriptor) => [
      annotations?.['io.containerd.image.name'],
      digest,
    ]),
  ).toEqual(
    ['both', 'one'].flatMap((tag) => [
      [`registry.k8s.io/${tag}:v1`, images[tag]?.digest],
      [`registry.k8s.io/${tag}@${images[tag]?.digest}`, images[tag]?.digest],
    ]),
  );
  expect(readFileSync(join(result, 'images'), 'utf8').split('\n')[0]).toBe(
    `registry.k8s.io/both:v1 ${images.both?.digest}`,
  );
  // Two manifests, the list, two configurations, two layers and the one that both have; nothing for arm64.
  const blobs = join(result, 'layout/blobs/sha256');
  expect(readdirSync(blobs)).toHaveLength(8);
  // Links to what is kept for later builds.
  for (const name of readdirSync(blobs)) {
    expect(sha256(readFileSync(join(blobs, name)))).toBe(`sha256:${name}`);
    expect(statSync(join(blobs, name)).nlink).toBe(2);
  }
  // Another client takes both out of it.
  for (const tag of ['both', 'one'])
    execFileSync('skopeo', [
      'copy',
      '--quiet',
      `oci:${result}/layout:registry.k8s.io/${tag}:v1`,
      `dir:${directory}/${tag}`,
    ]);
  expect(filesOf(await preload([pinned('both'), pinned('one')], newStore()))).toEqual(filesOf(result));
});

test('a builder container, which may nothing but build, pulls by the digests that its caller has found', async () => {
  const store = newStore();
  const resolved = await withPinnedImages(await resolve(['registry.k8s.io/both:v1']), {});
  // It is started with a network for this stage.
  expect(fetchingStages(resolved)).toContain('preload');
  const request: ContainedBuild = { resolved, stages: ['preload'] };
  const input = new PassThrough();
  input.write(`${JSON.stringify(request)}\n`);
  const { IMAGE_BUILDER_STORE: before } = process.env;
  process.env.IMAGE_BUILDER_STORE = store;
  try {
    const work = { report: () => {}, signal: new AbortController().signal };
    expect(await runContainedBuild(input, work)).toEqual({ result: null });
  } finally {
    if (before === undefined) delete process.env.IMAGE_BUILDER_STORE;
    else process.env.IMAGE_BUILDER_STORE = before;
  }
  const entries = join(store, 'entries');
  const [entry = ''] = readdirSync(entries).filter((name) => name.startsWith('preload-'));
  expect(filesOf(join(entries, entry))).toEqual(filesOf(await preload([pinned('both')], newStore())));
});

test('with digests and what was fetched before, no registry is needed', async () => {
  const store = newStore();
  const both = [pinned('both'), pinned('one')];
  const before = filesOf(await preload(both, store));
  rmSync(join(store, 'entries'), { recursive: true });
  const blobs = join(store, 'cache/images');
  await registry.kill();
  try {
    expect(filesOf(await preload(both, store))).toEqual(before);
    // What is damaged is fetched again: nobody believes it.
    rmSync(join(store, 'entries'), { recursive: true });
    writeFileSync(join(blobs, readdirSync(blobs).sort()[0] ?? ''), 'damaged');
    const failed = preload(both, store);
    expect(await failureOf(failed)).toEqual([expect.stringMatching(/NETWORK registry\.k8s\.io/)]);
    // The registry's own error counts, but it is not where the images were expected.
    await failed.catch((error: ImageBuilderError) =>
      expect(error.findings()[0]?.message).toContain(`| the mirror ${registry.host}: `),
    );
  } finally {
    await registry.start();
  }
  expect(filesOf(await preload(both, store))).toEqual(before);
});

test('everything that cannot be had is named at once, by its own code', async () => {
  const unknown = `${registry.host}/k8s/one@${sha256('unknown')}`;
  expect(
    await failureOf(preload([unknown, pinned('arm64'), pinned('arm64-list'), pinned('one')], newStore())),
  ).toEqual([
    expect.stringMatching(
      /^spec\.build\.kubernetes\.preload NOT_FOUND 127\.0\.0\.1:\d+\/k8s\/one@sha256:\w+: 127\.0\.0\.1:\d+ answers 404/,
    ),
    `spec.build.kubernetes.preload NO_MATCHING_PLATFORM ${pinned('arm64-list')}: registry.k8s.io/arm64-list@${images['arm64-list']?.digest} has no image for linux/amd64`,
    `spec.build.kubernetes.preload PRELOAD_ARCHITECTURE ${pinned('arm64')}: is for linux/arm64, expected linux/amd64`,
  ]);
});

test('a layer that is not what its digest promises is refused, and nothing of it is kept', async () => {
  const manifest = JSON.parse(
    readFileSync(join(layout, 'blobs/sha256', images.one?.digest.slice(7) ?? ''), 'utf8'),
  );
  const [, { digest, size }] = manifest.layers as [unknown, BlobDescriptor];
  const hex = digest.slice(7);
  const file = join(registry.storage, `docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`);
  const content = readFileSync(file);
  writeFileSync(file, Buffer.alloc(size, 1));
  try {
    const store = newStore();
    expect(await failureOf(preload([pinned('one')], store))).toEqual([
      expect.stringMatching(
        /^spec\.build\.kubernetes\.preload DIGEST_MISMATCH registry\.k8s\.io\/one:v1@sha256:\w+: a layer of /,
      ),
    ]);
    expect(readdirSync(join(store, 'cache/images'))).not.toContain(hex);
  } finally {
    writeFileSync(file, content);
  }
});

test('images that do not fit the partition are refused before they are fetched', async () => {
  const writer = new LayoutWriter(join(directory, 'large'));
  writer.tag(
    await writer.image({
      layers: [{ entries: [{ name: 'program', content: Buffer.alloc(12 << 20) }], compression: 'none' }],
    }),
    'large',
  );
  await skopeoCopy(
    `oci:${directory}/large:large`,
    `docker://${registry.host}/k8s/large:v1`,
    '--preserve-digests',
  );
  const store = newStore();
  const qcow = {
    qcow_capacity: '4G',
    partitions: [
      { mount: 'none', part_start: '1MiB', part_end: '2MiB', flags: ['bios_grub'] },
      {
        mount: '/boot/efi',
        part_start: '2MiB',
        part_end: '66MiB',
        flags: ['esp'],
        filesystem: { type: 'vfat' },
      },
      { mount: '/', part_start: '66MiB', part_end: '3000MiB', filesystem: { type: 'ext4' } },
      { mount: '/var/lib', part_start: '3000MiB', part_end: '3012MiB', filesystem: { type: 'ext4' } },
    ],
  };
  expect(
    await failureOf(preload(['registry.k8s.io/large:v1'], store, { qcows: { node: { qcow } } })),
  ).toEqual([
    'spec.build.kubernetes.preload PRELOAD_TOO_LARGE the images take 12 MiB, and the partition of /var/lib of qcows.node (number 4) has 12 MiB',
  ]);
  expect(readdirSync(join(store, 'cache/images'))).toHaveLength(2);
});

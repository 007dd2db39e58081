// `copy` of an image of which there is an earlier one: what is fetched, and what happens when something is amiss.
import { execFile, execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { silentReporter } from '../../../image-builder/base/diagnostics/progress.ts';
import { type Copy, type CopyOptions, copyBundle } from '../../../image-builder/bundle/copy/copy-disks.ts';
import { convertToQcow2 } from '../../../image-builder/disk/qcow2.ts';
import { pushReference } from '../../../image-builder/oci/distribution/push.ts';
import { parseReference, type RegistryReference } from '../../../image-builder/oci/reference.ts';
import { formatIndex, parseIndex } from '../../../image-builder/qcow2/block-index.ts';
import { writeIndex } from '../../../image-builder/qcow2/write-index.ts';
import { type LayoutServer, type LayoutServerOptions, serveLayouts } from '../../support/layout-server.ts';
import { executable } from '../support/executables.ts';
import { startRegistry } from '../support/registry.ts';
import { type TestStage, testStage } from '../support/stage-context.ts';
import { bundleOf, writeBundle } from './support.ts';

jest.setTimeout(120_000);
const MIB = 1024 ** 2;
const BLOCK = 4096;
/** A broken connection is tried once more. */
const READING: CopyOptions = { cache: false, environment: { ...process.env }, limits: { retries: 1 } };
const BLOCKS = (24 * MIB) / BLOCK;

let stage: TestStage;
let server: LayoutServer;
let intercept: LayoutServerOptions['intercept'];
const at = (...names: string[]) => join(stage.directory, ...names);
const sha256 = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');

/** Text that no other block has. */
function block(number: number): Buffer {
  const content = Buffer.alloc(BLOCK);
  const noise = createHash('sha512').update(`${number}`).digest('base64');
  for (let place = 0; place < BLOCK; place += 128)
    content.write(`${noise.slice(place % 60)} ${number} ${place}\n`.padEnd(128, '.'), place);
  return content;
}

/** A raw disk with these blocks from the second MiB on, and a MiB that cannot be compressed at its end. */
function writeDisk(name: string, blocks: readonly Buffer[], noise: Buffer): string {
  const path = at(`${name}.raw`);
  const file = openSync(path, 'w');
  for (const [index, content] of blocks.entries()) writeSync(file, content, 0, BLOCK, MIB + index * BLOCK);
  writeSync(file, noise, 0, noise.length, 40 * MIB);
  closeSync(file);
  truncateSync(path, 64 * MIB);
  return path;
}

/** A bundle of the disk in a layout. */
async function publish(name: string, raw: string, change?: (index: string) => void): Promise<void> {
  const image = at(`${name}.qcow2`);
  const index = at(`${name}.index`);
  const made = await convertToQcow2(raw, image, { compress: true, compressionType: 'zstd' }, stage);
  if (made) await writeIndex(made, index, stage.signal);
  change?.(index);
  const files = bundleOf({}, { qcows: [{ name: 'node', path: image, index }] });
  await writeBundle(files, { kind: 'layout', path: at(name), tag: 'v1' }, { cwd: stage.directory });
}

beforeAll(async () => {
  stage = await testStage(1_700_000_000);
  const noise = randomBytes(MIB);
  const old = Array.from({ length: BLOCKS }, (_, index) => block(index));
  // Two blocks more at the beginning, so that no cluster stays as it was, and one that is new in the middle.
  const changed = [block(90_000), block(90_001), ...old.slice(0, -2)];
  changed[BLOCKS / 2] = block(90_002);
  await publish('old', writeDisk('old', old, noise));
  const raw = writeDisk('new', changed, noise);
  await publish('new', raw);
  await publish('lying', raw, (path) => {
    const index = parseIndex(readFileSync(path));
    // Hashes of other content: what is made by them is not the image.
    const clusters = index.clusters.map((one, place) =>
      place === 3 ? { ...one, sha256: createHash('sha256').update('x').digest() } : one,
    );
    const literals = index.literals.map((one, place) =>
      place === 0 ? { ...one, data: Buffer.alloc(one.data.length, 1) } : one,
    );
    writeFileSync(path, formatIndex({ ...index, clusters, literals }));
  });
  await publish('damaged', raw, (path) => truncateSync(path, 1000));
  // Behind all that stays where it was: fourteen clusters and one of content that is elsewhere on the old disk, not at a cluster.
  await publish('more', writeDisk('more', [...old, ...old.slice(3, 3 + (14 * MIB) / BLOCK)], noise));
  await publish('bit', writeDisk('bit', [...old, ...old.slice(3, 3 + MIB / BLOCK)], noise));
  const names = ['old', 'new', 'lying', 'damaged', 'more', 'bit'];
  const repositories = Object.fromEntries(names.map((name) => [name, at(name)]));
  server = await serveLayouts({ repositories, intercept: (...call) => intercept?.(...call) ?? false });
});

afterAll(async () => {
  await server.stop();
  await stage.remove();
});

beforeEach(() => {
  intercept = undefined;
  server.requests.length = 0;
  rmSync(at('target'), { recursive: true, force: true });
});

const copy = (name: string, options: CopyOptions = {}) =>
  copyBundle(`${server.host}/${name}:v1`, at('target'), [], {
    ...options,
    ...READING,
  });

function expectPublished({ files }: Copy, name = 'new'): void {
  expect(files).toHaveLength(1);
  expect(sha256(at('target/node.qcow2'))).toBe(sha256(at(`${name}.qcow2`)));
  expect(files[0]?.sha256).toBe(sha256(at(`${name}.qcow2`)));
  expect(readdirSync(at('target'))).toEqual(['node.qcow2']);
}

/** Clusters of the image, not the headers of the tar around it. */
function asksForData(range: string | undefined): boolean {
  const [, first = 0, last = 0] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? [];
  return Number(first) > 4 * MIB && Number(last) <= statSync(at('new.qcow2')).size;
}

describe('an image of which there is an earlier one', () => {
  test('is made from it, and only what it lacks is fetched', async () => {
    const copied = await copy('new', { from: at('old.qcow2') });
    expectPublished(copied);
    const { update, size } = copied.files[0] ?? { size: 0 };
    expect(update).toEqual({ from: at('old.qcow2'), fetched: expect.any(Number) });
    expect(update?.fetched).toBeLessThan(size / 5);
    // As others are: web servers read it.
    expect(statSync(at('target/node.qcow2')).mode & 0o777 & ~process.umask()).toBe(0o644 & ~process.umask());
  });

  test('is found in the directory when it is replaced', async () => {
    mkdirSync(at('target'));
    copyFileSync(at('old.qcow2'), at('target/node.qcow2'));
    await expect(copy('new')).rejects.toMatchObject({ code: 'FILE_EXISTS' });
    const copied = await copy('new', { force: true });
    expectPublished(copied);
    expect(copied.files[0]?.update).toEqual({
      from: at('target/node.qcow2'),
      fetched: expect.any(Number),
    });
  });

  test('comes from a real registry as well, and from a directory that is named', async () => {
    const registry = await startRegistry();
    try {
      const from = parseReference(`oci:${at('new')}:v1`);
      const target = parseReference(`${registry.host}/site/bundle:v1`) as RegistryReference;
      await pushReference(from, target, { report: silentReporter });
      mkdirSync(at('earlier'), { recursive: true });
      copyFileSync(at('old.qcow2'), at('earlier/node.qcow2'));
      const options = {
        from: at('earlier'),
        ...READING,
      };
      const [one, other] = await Promise.all([
        copyBundle(`${registry.host}/site/bundle:v1`, at('target'), [], options),
        copyBundle(`${registry.host}/site/bundle:v1`, at('target'), [], options),
      ]);
      expectPublished(one);
      expectPublished(other);
      // Of two at once, one finds what the other has made.
      expect([one, other].filter(({ files }) => files[0]?.update?.fetched !== undefined)).not.toEqual([]);
    } finally {
      await registry.stop();
    }
  });

  test('is made of clusters that were copied as well, when much would have to be fetched otherwise', async () => {
    const copied = await copy('more', { from: at('old.qcow2') });
    expectPublished(copied, 'more');
    expect(copied.files[0]?.update?.fetched).toBeLessThan(100_000);
  });

  test('has a few clusters fetched rather than all of the earlier disk read', async () => {
    const copied = await copy('bit', { from: at('old.qcow2') });
    expectPublished(copied, 'bit');
    const { update, size = 0 } = copied.files[0] ?? {};
    expect(update?.fetched).toBeGreaterThan(50_000);
    expect(update?.fetched).toBeLessThan(size / 20);
  });

  test('goes on where it was interrupted', async () => {
    let isDead = false;
    intercept = ({ headers }, response) => {
      isDead ||= asksForData(headers.range);
      if (isDead) response.destroy();
      return isDead;
    };
    await expect(copy('new', { from: at('old.qcow2') })).rejects.toMatchObject({ code: 'NETWORK' });
    expect(existsSync(at('target/.image-builder-download/made-node.qcow2'))).toBe(true);
    intercept = undefined;
    // Without the earlier image nothing could be made again.
    const create = ['create', '-q', '-f', 'qcow2', '-o', 'compression_type=zstd', at('empty.qcow2'), '64M'];
    execFileSync('qemu-img', create);
    const copied = await copy('new', { from: at('empty.qcow2') });
    expectPublished(copied);
    expect(copied.files[0]?.update?.fetched).toBeLessThan((copied.files[0]?.size ?? 0) / 5);
  });
});

describe('an image is copied whole, and the reason is told, when', () => {
  const expectWhole = (copied: Copy, reason: RegExp) => {
    expectPublished(copied);
    expect(copied.files[0]?.update?.fetched).toBeUndefined();
    expect(copied.files[0]?.update?.reason).toMatch(reason);
  };

  test('the registry ignores ranges', async () => {
    intercept = ({ headers, path, method }, response, answer) => {
      if (!headers.range) return false;
      const body = readFileSync(join(at('new'), 'blobs', (path.split('/').at(-1) ?? '').replace(':', '/')));
      response.writeHead(200, { 'content-length': body.length });
      response.end(method === 'HEAD' ? undefined : body);
      return answer !== undefined;
    };
    expectWhole(await copy('new', { from: at('old.qcow2') }), /no ranges/);
  });

  test('ranges are refused half-way', async () => {
    intercept = ({ headers }, response) => {
      if (!asksForData(headers.range)) return false;
      response.writeHead(403, { 'content-length': 0 }).end();
      return true;
    };
    expectWhole(await copy('new', { from: at('old.qcow2') }), /403|denied|refused|FORBIDDEN/i);
  });

  test('the index lies', async () => {
    expectWhole(await copy('lying', { from: at('old.qcow2') }), /index has another|cluster/);
  });

  test('the index is damaged', async () => {
    expectWhole(await copy('damaged', { from: at('old.qcow2') }), /index/);
  });

  test('the earlier image is none', async () => {
    writeFileSync(at('text.qcow2'), 'no image');
    expectWhole(await copy('new', { from: at('text.qcow2') }), /qcow2/);
  });
});

test('a damaged earlier image only has less', async () => {
  const content = readFileSync(at('old.qcow2'));
  content.fill(0xa5, content.length / 2, content.length / 2 + 300_000);
  writeFileSync(at('broken.qcow2'), content);
  const copied = await copy('new', { from: at('broken.qcow2') });
  expectPublished(copied);
  expect(copied.files[0]?.update?.fetched).toBeGreaterThan(0);
});

test('an earlier image that is not there is an error', async () => {
  await expect(copy('new', { from: at('absent.qcow2') })).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
});

test('a full disk is called that, and there is no image then, only what another try goes on with', async () => {
  const target = at('small');
  mkdirSync(target);
  // A mebibyte holds neither the image nor the layer.
  const script = `mount -t tmpfs -o size=1m small "$1"
    "$2" copy "$3" "$1" --from "$4" --no-cache; status=$?
    ls -A "$1" >&2; exit $status`;
  const argv = [target, executable('image-builder'), `${server.host}/new:v1`, at('old.qcow2')];
  const { status, stderr } = await new Promise<{ status: number; stderr: string }>((resolve) => {
    // Not at once: the registry is in this process.
    const child = execFile(
      'unshare',
      ['--user', '--map-root-user', '--mount', 'sh', '-c', script, 'sh', ...argv],
      (_, __, text) => resolve({ status: child.exitCode ?? -1, stderr: text }),
    );
  });
  expect({ status, stderr }).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(
      /^error: cannot copy into .*\/small: no space is left on the device \[WRITE_FAILED\]$/m,
    ),
  });
  expect(stderr.trim().split('\n').at(-1)).toBe('.image-builder-download');
});

// Compressed qcow2 images, whose clusters qemu-img has compressed side by side.
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  closeSync,
  copyFileSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { convertToQcow2 } from '../../../image-builder/disk/qcow2.ts';
import { type TestStage, testStage } from '../support/stage-context.ts';

const MIB = 1024 ** 2;
let stage: TestStage;
let raw: string;

beforeAll(async () => {
  stage = await testStage(1_700_000_000);
  raw = join(stage.directory, 'disk.raw');
  const file = openSync(raw, 'w');
  const text = Buffer.alloc(MIB);
  // Text of many kinds, so that clusters take different time and space; what cannot be compressed; and holes.
  for (let index = 0; index < 96; index++) {
    if (index % 7 === 3) continue;
    for (let place = 0; place < MIB; place += 64)
      text.write(`${(index * place) % (97 + index * 31)} line of ${index}\n`, place);
    const cluster = index % 11 === 5 ? randomBytes(MIB) : text;
    writeSync(file, cluster, 0, cluster.length, index * MIB);
  }
  // In the table after the first one, and at the very end.
  writeSync(file, text, 0, 4096, 200 * 1024 * MIB);
  closeSync(file);
  truncateSync(raw, 300 * 1024 * MIB + 512);
});

afterAll(() => stage.remove());

const convert = (name: string, compressionType: 'zstd' | 'zlib' = 'zstd', from = raw) =>
  convertToQcow2(from, join(stage.directory, name), { compress: true, compressionType }, stage);
const digest = (name: string) =>
  createHash('sha256')
    .update(readFileSync(join(stage.directory, name)))
    .digest('hex');
const qemu = (...args: string[]) => JSON.parse(execFileSync('qemu-img', args, { encoding: 'utf8' }));

test('holds the disk, and is sound', async () => {
  await convert('image.qcow2');
  const image = join(stage.directory, 'image.qcow2');
  execFileSync('qemu-img', ['compare', '-f', 'raw', '-F', 'qcow2', raw, image]);
  const check = qemu('check', '--output=json', image);
  expect(check).toMatchObject({ 'check-errors': 0 });
  expect(check.leaks ?? 0).toBe(0);
  expect(check['compressed-clusters']).toBeGreaterThan(70);
  const info = qemu('info', '--output=json', image);
  expect(info['virtual-size']).toBe(300 * 1024 * MIB + 512);
  expect(info['format-specific'].data['compression-type']).toBe('zstd');
  expect(readdirSync(stage.workDir)).toEqual([]);
});

test('the same disk gives the same bytes, however the clusters were ready', async () => {
  for (const name of ['once.qcow2', 'twice.qcow2', 'thrice.qcow2']) await convert(name);
  expect(new Set(['once.qcow2', 'twice.qcow2', 'thrice.qcow2'].map(digest)).size).toBe(1);
});

test('can be written to, as by a machine that starts from it', async () => {
  await convert('written.qcow2');
  const image = join(stage.directory, 'written.qcow2');
  execFileSync('qemu-io', ['-f', 'qcow2', '-c', 'write -P 7 1M 3M', '-c', 'write -P 8 250G 1M', image]);
  execFileSync('qemu-io', ['-f', 'qcow2', '-c', 'read -P 7 1M 3M', '-c', 'read -P 8 250G 1M', image]);
  expect(qemu('check', '--output=json', image)).toMatchObject({ 'check-errors': 0 });
});

test('zlib is for old readers', async () => {
  await convert('zlib.qcow2', 'zlib');
  const image = join(stage.directory, 'zlib.qcow2');
  execFileSync('qemu-img', ['compare', '-f', 'raw', '-F', 'qcow2', raw, image]);
  expect(qemu('info', '--output=json', image)['format-specific'].data['compression-type']).toBe('zlib');
});

test('nothing is left of a conversion that fails', async () => {
  await expect(convert('failed.qcow2', 'zstd', join(stage.directory, 'absent.raw'))).rejects.toThrow(
    'qemu-img',
  );
  expect(readdirSync(stage.directory).filter((name) => name.includes('failed'))).toEqual([]);
  expect(readdirSync(stage.workDir)).toEqual([]);
});

describe('clusters of an earlier image', () => {
  const MADE_BY = 'a'.repeat(64);
  const disk = () => join(stage.directory, 'small.raw');
  /** Files that qemu-img has compressed. */
  const compressed: string[] = [];
  const build = (name: string, madeBy = MADE_BY) => {
    const { sandbox } = stage;
    const run: typeof sandbox.run = (argv, options) => {
      if (argv[1] === 'convert') compressed.push(argv.at(-2)?.replace(/.*\//, '') ?? '');
      return sandbox.run(argv, options);
    };
    const context = { ...stage, sandbox: Object.create(sandbox, { run: { value: run } }) };
    const place = { directory: join(stage.directory, 'cache'), madeBy };
    const output = join(stage.directory, name);
    return convertToQcow2(disk(), output, { compress: true, compressionType: 'zstd' }, context, place);
  };
  const kept = () => readdirSync(join(stage.directory, 'cache'));
  /** What the image would be without a cache. */
  const expected = async () => {
    await convert('expected.qcow2', 'zstd', disk());
    return digest('expected.qcow2');
  };
  function change(place: number, text: string): void {
    const file = openSync(disk(), 'r+');
    writeSync(file, text, place);
    closeSync(file);
  }

  beforeAll(() => {
    const file = openSync(disk(), 'w');
    const text = Buffer.alloc(MIB);
    for (let index = 0; index < 12; index++) {
      for (let place = 0; place < MIB; place += 64)
        text.write(`${(index * place) % (97 + index * 31)} line of ${index}\n`, place);
      const cluster = index === 5 ? randomBytes(MIB) : text;
      if (index !== 3) writeSync(file, cluster, 0, cluster.length, index * MIB);
    }
    closeSync(file);
    truncateSync(disk(), 40 * MIB + 512);
  });
  beforeEach(() => {
    compressed.length = 0;
  });

  test('are taken as they are, and the bytes are those of an image that is compressed as a whole', async () => {
    await build('first.qcow2');
    expect(digest('first.qcow2')).toBe(await expected());
    change(7 * MIB + 100, 'something else');
    change(20 * MIB, 'and where there was nothing');
    await build('second.qcow2');
    expect(digest('second.qcow2')).toBe(await expected());
    expect(compressed).toEqual(['small.raw', 'small.raw.rest']);
    expect(kept()).toHaveLength(2);
    // Wherever they are now.
    const content = readFileSync(disk());
    const moved = openSync(disk(), 'w');
    writeSync(moved, content, 0, content.length, 2 * MIB);
    closeSync(moved);
    await build('third.qcow2');
    expect(digest('third.qcow2')).toBe(await expected());
    expect(compressed.at(-1)).toBe('small.raw.rest');
    expect(readdirSync(stage.directory).filter((name) => name.startsWith('small'))).toEqual(['small.raw']);
  });

  test('the same image once more: nothing is compressed', async () => {
    const made = await build('again.qcow2');
    expect(digest('again.qcow2')).toBe(await expected());
    expect(made?.clusters.length).toBeGreaterThan(10);
  });

  test('are not taken of another version of the compressor', async () => {
    await build('other.qcow2', 'b'.repeat(64));
    expect(compressed).toEqual(['small.raw']);
    expect(digest('other.qcow2')).toBe(await expected());
  });

  test('are not taken when they are damaged, and neither is a list that is', async () => {
    rmSync(join(stage.directory, 'cache'), { recursive: true });
    await build('sound.qcow2');
    const [name = ''] = kept();
    const image = join(stage.directory, 'cache', name, 'disk.qcow2');
    copyFileSync(image, `${image}.copy`);
    rmSync(image);
    copyFileSync(`${image}.copy`, image);
    const file = openSync(image, 'r+');
    // The first compressed cluster lies behind five clusters of tables.
    writeSync(file, 'damaged', 5 * MIB + 100);
    closeSync(file);
    const damaged = createHash('sha256').update(readFileSync(image)).digest('hex');
    await build('after.qcow2');
    expect(digest('after.qcow2')).toBe(await expected());
    expect(compressed).toEqual(['small.raw', 'small.raw.rest', 'small.raw']);
    const [again = ''] = kept();
    const renewed = readFileSync(join(stage.directory, 'cache', again, 'disk.qcow2'));
    expect(createHash('sha256').update(renewed).digest('hex')).not.toBe(damaged);
    const list = openSync(join(stage.directory, 'cache', again, 'clusters.json'), 'w');
    writeSync(list, '{"what": 1}');
    closeSync(list);
    await build('last.qcow2');
    expect(digest('last.qcow2')).toBe(await expected());
    expect(compressed.at(-1)).toBe('small.raw');
    compressed.length = 0;
    await build('mended.qcow2');
    expect(compressed).not.toContain('small.raw');
  });

  test('are not missed when another build has just removed the image', async () => {
    rmSync(join(stage.directory, 'cache'), { recursive: true });
    await build('before.qcow2');
    for (const name of kept()) rmSync(join(stage.directory, 'cache', name, 'disk.qcow2'), { force: true });
    await build('alone.qcow2');
    expect(digest('alone.qcow2')).toBe(await expected());
    expect(compressed.at(-1)).toBe('small.raw');
  });

  test('are not believed to be longer than a cluster', async () => {
    rmSync(join(stage.directory, 'cache'), { recursive: true });
    await build('before-long.qcow2');
    for (const name of kept()) {
      const list = join(stage.directory, 'cache', name, 'clusters.json');
      const items = JSON.parse(readFileSync(list, 'utf8')) as [string, number, number, string][];
      rmSync(list);
      writeFileSync(
        list,
        JSON.stringify(items.map(([content, offset, , sum]) => [content, offset, 1e15, sum])),
      );
    }
    await build('short.qcow2');
    expect(digest('short.qcow2')).toBe(await expected());
  });
});

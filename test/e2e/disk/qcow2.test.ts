// Compressed qcow2 images, whose clusters qemu-img has compressed side by side.
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, openSync, readdirSync, readFileSync, truncateSync, writeSync } from 'node:fs';
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

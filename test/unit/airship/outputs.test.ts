// What the builder container leaves in the volume.
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { writeOutputs } from '../../../image-builder/airship/outputs.ts';
import type { CutRequest } from '../../../image-builder/airship/request.ts';

let directory: string;
let volume: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'image-builder-outputs-'));
  volume = join(directory, 'volume');
  await mkdir(volume);
  await writeFile(join(directory, 'store.iso'), 'an image', { mode: 0o400 });
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const request = (more: Partial<CutRequest>): CutRequest => ({
  contract: 'v1',
  imageType: 'iso',
  volume,
  imageName: 'ephemeral.iso',
  checksumFile: false,
  build: {},
  ...more,
});
const result = () => ({
  path: join(directory, 'store.iso'),
  multistrapProfile: '{"k8s_version": "1.34.2-1.1"}',
  entrypointProfile: '{"mode": "0755"}',
});
const never = new AbortController().signal;
const MD5 = 'ea7e46cd03d4c5dc1dda36d7a3eb1a0e';

test('v1: the metadata names the path on the host, the image is readable by everyone', async () => {
  const metadata = { fileName: 'output-metadata.yaml', hostDirectory: '/srv/images' };
  const written = await writeOutputs(request({ metadata, builderImage: 'quay.io/a/b:c' }), result(), never);
  expect(written.slice(-2)).toEqual(['ephemeral.iso', 'output-metadata.yaml']);
  expect((await readdir(volume)).sort()).toEqual([
    'ephemeral.iso',
    'output-metadata.yaml',
    'profile_entrypoint.json',
    'profile_multistrap.json',
  ]);
  const text = await readFile(join(volume, 'output-metadata.yaml'), 'utf8');
  expect(parse(text)).toEqual({
    bootImagePath: '/srv/images/ephemeral.iso',
    md5sum: expect.stringMatching(/^[0-9a-f]{32}$/),
  });
  expect((await stat(join(volume, 'ephemeral.iso'))).mode & 0o777).toBe(0o644);
  expect(JSON.parse(await readFile(join(volume, 'profile_multistrap.json'), 'utf8'))).toEqual({
    k8s_version: '1.34.2-1.1',
    image_builder_image: 'quay.io/a/b:c',
  });
});

test('v2: the checksum stands alone in its file', async () => {
  await writeOutputs(request({ checksumFile: true }), { ...result(), md5: MD5 }, never);
  expect(await readFile(join(volume, 'ephemeral.iso.md5sum'), 'utf8')).toBe(`${MD5}\n`);
});

test('a link in the place of a result is replaced, not followed', async () => {
  await writeFile(join(directory, 'precious'), 'x');
  await symlink(join(directory, 'precious'), join(volume, 'ephemeral.iso'));
  await writeOutputs(request({}), result(), never);
  expect(await readFile(join(directory, 'precious'), 'utf8')).toBe('x');
  expect(await readFile(join(volume, 'ephemeral.iso'), 'utf8')).toBe('an image');
});

test('nothing is left of a run that fails or is stopped', async () => {
  await expect(writeOutputs(request({}), { ...result(), path: '/nowhere' }, never)).rejects.toThrow();
  await expect(writeOutputs(request({}), result(), AbortSignal.abort())).rejects.toMatchObject({
    code: 'CANCELLED',
  });
  expect(await readdir(volume)).toEqual([]);
  await expect(writeOutputs(request({ volume: '/proc/nowhere' }), result(), never)).rejects.toMatchObject({
    code: 'VOLUME_NOT_WRITABLE',
  });
});

// Layouts and layers as other tools write them, that are right and look odd.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readBundle } from '../../../../image-builder/bundle/read/read-bundle.ts';
import { makeTar, type TestImage, writeLayout } from '../../../support/images.ts';

const OLD = '{"k8s_version":"1.32.3"}';
let directory: string;
let count = 0;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'odd-layouts-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function layoutOf(image: TestImage): Promise<string> {
  const layout = join(directory, `layout-${count++}`);
  await writeLayout(layout, { ...image, tag: 'v1' });
  return layout;
}

describe('layouts', () => {
  const named = (name: string) => ({ annotations: { 'org.opencontainers.image.ref.name': name } });
  const OCI = 'application/vnd.oci.image.';
  async function layoutWith(...entries: object[]): Promise<string> {
    const layout = await layoutOf({
      layers: [{ entries: [{ name: 'profiles/profile_a.json', content: OLD }] }],
    });
    const index = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8'));
    const [image] = index.manifests;
    index.manifests = entries.map((entry) => ({ ...image, annotations: {}, ...entry }));
    writeFileSync(join(layout, 'index.json'), JSON.stringify(index));
    return `oci:${layout}`;
  }
  const other = { digest: `sha256:${'0'.repeat(64)}`, mediaType: `${OCI}manifest.v1+json`, size: 7 };
  const profile = async (reference: string) => (await readBundle(reference)).profiles[0]?.json;

  it('with an image under several names have one image', async () => {
    const layout = await layoutWith(named('latest'), named('latest'), named('v1'));
    for (const tag of ['', ':latest', ':v1']) expect(await profile(`${layout}${tag}`)).toBe(OLD);
  });

  it('with an image and what refers to it have one image', async () => {
    expect(await profile(await layoutWith({}, { ...other, artifactType: 'application/vnd.example' }))).toBe(
      OLD,
    );
    expect(await profile(await layoutWith(named('v1'), other))).toBe(OLD);
  });

  it('with two images are ambiguous, and with none empty', async () => {
    const two = await layoutWith(named('v1'), { ...other, ...named('v2') });
    await expect(profile(two)).rejects.toMatchObject({ code: 'INVALID_REFERENCE' });
    expect(await profile(`${two}:v1`)).toBe(OLD);
    await expect(profile(await layoutWith({}, other))).rejects.toMatchObject({ code: 'INVALID_REFERENCE' });
    await expect(profile(await layoutWith())).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

it('reads headers whose checksum was made over signed bytes', async () => {
  const tar = await makeTar([
    { name: 'x', content: 'x' },
    { name: 'profiles/profile_a.json', content: OLD },
  ]);
  // A name in Latin-1.
  tar[0] = 0xfc;
  tar.write('        ', 148);
  const sum = tar.subarray(0, 512).reduce((total, byte) => total + (byte > 127 ? byte - 256 : byte), 0);
  tar.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  const layout = await layoutOf({ layers: [{ tar }] });
  expect((await readBundle(`oci:${layout}`)).profiles[0]?.json).toBe(OLD);
});

it('says that a layer has no media type', async () => {
  const layout = await layoutOf({ layers: [{ entries: [{ name: 'x', content: 'x' }], mediaType: '' }] });
  await expect(readBundle(`oci:${layout}`)).rejects.toMatchObject({
    code: 'UNSUPPORTED_MEDIA_TYPE',
    message: 'a layer has no media type',
  });
});

// Layers that were made to hurt: bombs, absurd sizes, damaged tars, paths that try to get out.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { readBundle } from '../../../../image-builder/bundle/read/read-bundle.ts';
import { decompress } from '../../../../image-builder/oci/codec/compression.ts';
import { MULTISTRAP_PROFILE, profileEntries } from '../../../support/bundles.ts';
import { makeTar, type TestLayer, writeLayout } from '../../../support/images.ts';

let directory: string;
let count = 0;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'hostile-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function read(layers: TestLayer[], profiles?: string[]) {
  const layout = join(directory, `layout-${count++}`);
  await writeLayout(layout, { layers });
  return readBundle(`oci:${layout}`, { verify: 'full', ...(profiles && { profiles }) });
}
const blob = (content: Buffer): TestLayer => ({
  compression: () => ({ blob: content, mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip' }),
});

it('stops at a decompression bomb', async () => {
  const bomb = gzipSync(Buffer.alloc(8 * 1024 * 1024));
  const stream = async function* () {
    yield bomb;
  };
  const drain = async () => {
    for await (const _ of decompress(stream(), 1024 * 1024, 'the layer'));
  };
  await expect(drain()).rejects.toMatchObject({ code: 'TOO_LARGE' });
});

it('refuses compressions that nobody uses for layers, by name', async () => {
  const xz = Buffer.concat([Buffer.from('fd377a585a00', 'hex'), Buffer.alloc(100)]);
  await expect(read([blob(xz)])).rejects.toMatchObject({
    code: 'UNSUPPORTED_MEDIA_TYPE',
    message: expect.stringContaining('xz'),
  });
});

it.each([
  [
    'a damaged gzip stream',
    async () => blob(Buffer.concat([gzipSync(Buffer.alloc(5000, 1)).subarray(0, 30), Buffer.alloc(50, 7)])),
    expect.stringMatching(/CORRUPT|INVALID_TAR/),
  ],
  [
    'a truncated gzip stream',
    async () => blob(gzipSync(await makeTar(profileEntries())).subarray(0, -20)),
    'CORRUPT',
  ],
  ['something that is no tar', async () => ({ tar: Buffer.alloc(2048, 0x41) }), 'INVALID_TAR'],
  [
    'a tar that ends inside a file',
    async () => ({
      tar: (await makeTar([{ name: 'profiles/profile_x.json', content: Buffer.alloc(3000, 32) }])).subarray(
        0,
        1500,
      ),
    }),
    'TRUNCATED_TAR',
  ],
  [
    'a tar that ends inside a header',
    async () => ({ tar: (await makeTar(profileEntries())).subarray(0, 700) }),
    'TRUNCATED_TAR',
  ],
])('%s is an error', async (_, layer, code) => {
  await expect(read([await layer()])).rejects.toMatchObject({ code });
});

it('reads nothing outside of the image', async () => {
  const entries = [
    { name: 'profiles/', type: 'directory' as const },
    { name: 'profiles/profile_a.json', type: 'symlink' as const, linkname: '../../../../../../etc/passwd' },
    { name: 'profiles/profile_b.json', type: 'symlink' as const, linkname: '/proc/self/environ' },
    { name: '../../../profiles/profile_c.json', content: '{"inside": true}' },
  ];
  const { profiles } = await read([{ entries }]);
  expect(profiles).toEqual([
    { path: '/profiles/profile_c.json', name: 'profile_c', json: '{"inside": true}' },
  ]);
});

it('follows links inside of the image', async () => {
  const entries = [
    { name: 'data/', type: 'directory' as const },
    { name: 'data/real.json', content: MULTISTRAP_PROFILE },
    { name: 'profiles', type: 'symlink' as const, linkname: '/data' },
    { name: 'data/profile_multistrap.json', type: 'link' as const, linkname: 'data/real.json' },
  ];
  expect((await read([{ entries }])).profiles[0]?.json).toBe(MULTISTRAP_PROFILE);
  expect((await read([{ entries }], ['/profiles/profile_multistrap.json'])).profiles[0]?.json).toBe(
    MULTISTRAP_PROFILE,
  );
});

it('says when a link leads in a circle', async () => {
  const entries = [
    { name: 'profiles/', type: 'directory' as const },
    { name: 'profiles/profile_a.json', type: 'symlink' as const, linkname: 'profile_b.json' },
    { name: 'profiles/profile_b.json', type: 'symlink' as const, linkname: 'profile_a.json' },
  ];
  await expect(read([{ entries }], ['/profiles/profile_a.json'])).rejects.toMatchObject({
    code: 'NOT_A_FILE',
  });
});

it('takes the last of several entries, and the upper layer', async () => {
  const profile = (value: string) => ({ name: 'profiles/profile_x.json', content: `{"from": "${value}"}` });
  const twice = await read([{ entries: [profile('first'), profile('last')] }]);
  expect(twice.profiles[0]?.json).toBe('{"from": "last"}');
  const layers = await read([{ entries: [profile('lower')] }, { entries: [profile('upper')] }]);
  expect(layers.profiles[0]?.json).toBe('{"from": "upper"}');
  await expect(
    read([{ entries: [profile('lower')] }, { entries: [{ name: 'profiles/.wh.profile_x.json' }] }]),
  ).rejects.toMatchObject({ code: 'NOT_A_BUNDLE' });
  await expect(
    read([{ entries: [profile('lower')] }, { entries: [{ name: 'profiles/.wh..wh..opq' }] }]),
  ).rejects.toMatchObject({ code: 'NOT_A_BUNDLE' });
});

it('refuses a profile that is not JSON, in another encoding, or too large', async () => {
  const latin = { name: 'profiles/profile_x.json', content: Buffer.from('{"a": "\xe4"}', 'latin1') };
  await expect(read([{ entries: [latin] }])).rejects.toMatchObject({
    code: 'INVALID_CONTENT',
    message: expect.stringMatching(/is not UTF-8 text$/),
  });
  await expect(
    read([{ entries: [{ name: 'profiles/profile_x.json', content: 'k8s: 1' }] }]),
  ).rejects.toMatchObject({ code: 'INVALID_CONTENT' });
  const large = { name: 'profiles/profile_x.json', content: Buffer.alloc(9 * 1024 * 1024, 32) };
  await expect(read([{ entries: [large] }])).rejects.toMatchObject({ code: 'FILE_TOO_LARGE' });
});

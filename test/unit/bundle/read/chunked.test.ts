// Tables of contents of zstd:chunked layers, as somebody may write them who wants odd requests to be made.

import { scanChunked } from '../../../../image-builder/bundle/read/chunked.ts';
import { WatchList } from '../../../../image-builder/bundle/read/overlay/wanted-paths.ts';
import { digestOf } from '../../../../image-builder/oci/digest.ts';
import type { ByteRange } from '../../../../image-builder/oci/image-source.ts';

const CONTENT = Buffer.from('{"a": 1}');
const PREFIX = 'io.github.containers.zstd-chunked.';

/** A layer of the file, which is not compressed, and the table. */
async function scan(fields: object) {
  const file = {
    ...{ type: 'reg', name: 'profiles/profile_a.json', size: CONTENT.length, digest: digestOf(CONTENT) },
    ...{ offset: 0, endOffset: CONTENT.length },
    ...fields,
  };
  const table = Buffer.from(JSON.stringify({ version: 1, entries: [file] }));
  const blob = Buffer.concat([CONTENT, table]);
  const ranges: ByteRange[] = [];
  const layer = {
    ...{ mediaType: '', digest: digestOf(blob), size: blob.length },
    annotations: {
      [`${PREFIX}manifest-position`]: `${CONTENT.length}:${table.length}:${table.length}:1`,
      [`${PREFIX}manifest-checksum`]: digestOf(table),
    },
  };
  const range = async (_: unknown, wanted: ByteRange) => {
    ranges.push(wanted);
    return blob.subarray(wanted.start, wanted.start + wanted.length);
  };
  const watch = new WatchList({ files: [], directories: [{ path: 'profiles', content: () => true }] });
  const budget = { file: 1000, left: 1000, expanded: 1e6, entries: 100, noted: 1000 };
  const found = await scanChunked({ image: { source: { range } } as never, layer, watch, budget });
  return { found, ranges };
}

it('are believed as far as the manifest vouches for them', async () => {
  const { found, ranges } = await scan({});
  expect(found).toMatchObject({ coverage: 'verified', entries: [{ kind: 'file', content: CONTENT }] });
  expect(ranges).toHaveLength(2);
});

it.each<object>([
  { offset: true },
  { offset: 0.5 },
  { offset: -1 },
  { offset: '0' },
  { endOffset: 1e300 },
  { endOffset: 1000 },
  { endOffset: null },
  { offset: 5, endOffset: 5 },
  { size: '8' },
  { size: -8 },
  { mode: {} },
  { digest: 7 },
  { linkName: [] },
  { name: 1 },
  { digest: digestOf(Buffer.from('other')) },
])('are not used when they make no sense: %j', async (fields) => {
  const { found, ranges } = await scan(fields);
  expect(found).toBeUndefined();
  for (const { start, length } of ranges) expect([start, length].every(Number.isSafeInteger)).toBe(true);
  // The table, and at most the one file.
  expect(ranges.length).toBeLessThanOrEqual(2);
});

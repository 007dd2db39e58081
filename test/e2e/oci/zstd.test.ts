// What the program zstd compresses, on versions of Node that do not know it.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { decompress } from '../../../image-builder/runtime/node/fzstd.ts';
import { collect, pieces } from '../../support/pieces.ts';

const MIB = 1024 * 1024;

// What zstd writes: compressed blocks, stored ones between them, and references from one to the other.
const RANDOM = randomBytes(300_000);
const MIXED = Buffer.concat(
  Array.from({ length: 20 }, (_, index) =>
    Buffer.concat([
      Buffer.from(`${index}: a line as any other\n`.repeat(5000 + index)),
      randomBytes(150_000 + index),
      // Far behind, in what was stored.
      RANDOM,
    ]),
  ),
);
const LETTERS = Buffer.from(randomBytes(12 * MIB).toString('base64'));

test.each([
  ['mixed content', MIXED, []],
  ['mixed content with a small window', MIXED, ['--zstd=wlog=17']],
  ['mixed content with a large window', MIXED, ['--long=24']],
  ['a single segment of known size', MIXED.subarray(0, 500_000), ['--stream-size=500000']],
  ['more than is decompressed at once', LETTERS, []],
  ['a little', Buffer.from('a little'), ['--no-check']],
  ['nothing', Buffer.alloc(0), []],
])(
  '%s comes out as zstd has compressed it',
  async (_, content, options) => {
    const packed = execFileSync('zstd', ['-c', ...options], { input: content, maxBuffer: 64 * MIB });
    for (const size of [4099, packed.length]) {
      const twice = Buffer.concat([packed, packed]);
      const output = Buffer.concat(await collect(decompress(pieces(twice, size), 'it')));
      expect(output.equals(Buffer.concat([content, content]))).toBe(true);
    }
    const cut = packed.subarray(0, packed.length - 5);
    await expect(collect(decompress(pieces(cut, 65_536), 'it'))).rejects.toMatchObject({ code: 'CORRUPT' });
  },
  60_000,
);

test('a reader may go away while a thread decompresses', async () => {
  const packed = execFileSync('zstd', ['-c'], { input: LETTERS, maxBuffer: 64 * MIB });
  let read = 0;
  for await (const part of decompress(pieces(packed, 65_536), 'it')) {
    read += part.length;
    if (read > LETTERS.length / 2) break;
  }
  expect(read).toBeLessThan(LETTERS.length);
});

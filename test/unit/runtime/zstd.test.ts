// Zstandard without a decoder in Node: hostile frames, and streams that are cut anywhere.

import { RegistryError } from '../../../image-builder/oci/http/registry-error.ts';
import { unzstd } from '../../../image-builder/runtime/node/zstd.ts';
import { collect, pieces } from '../../support/pieces.ts';

const MIB = 1024 * 1024;

/** A frame with a window of `1 KiB << exponent` (RFC 8878, 3.1.1.1.2). */
function frame(blocks: Buffer[], { exponent = 7, checksum = false } = {}): Buffer {
  const descriptor = checksum ? 4 : 0;
  const head = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, descriptor, exponent << 3]);
  return Buffer.concat([head, ...blocks, Buffer.alloc(checksum ? 4 : 0, 0x77)]);
}

function block(kind: 'raw' | 'repeated', content: Buffer | number, isLast: boolean): Buffer {
  const size = typeof content === 'number' ? content : content.length;
  const header = Buffer.alloc(3);
  header.writeUIntLE((size << 3) | (kind === 'raw' ? 0 : 2) | (isLast ? 1 : 0), 0, 3);
  return Buffer.concat([header, typeof content === 'number' ? Buffer.from('a') : content]);
}

function skippable(size: number): Buffer {
  const header = Buffer.from([0x53, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]);
  header.writeUInt32LE(size, 4);
  return Buffer.concat([header, Buffer.alloc(size, 0xff)]);
}

const SEVERAL = Buffer.concat([
  skippable(5),
  frame([block('raw', Buffer.from('first '), false), block('repeated', 3, true)], { checksum: true }),
  frame([block('raw', Buffer.alloc(0), true)]),
  skippable(0),
  frame([block('raw', Buffer.from(' last'), true)]),
]);

test.each([1, 2, 3, 7, 1000])(
  'frames of every kind are read when they come in pieces of %i',
  async (size) => {
    const output = await collect(unzstd(pieces(SEVERAL, size), 'a layer'));
    expect(Buffer.concat(output).toString()).toBe('first aaa last');
  },
);

test('of a bomb that comes in one piece, one block after the other is in memory', async () => {
  const blocks = Array.from({ length: 4096 }, (_, index) => block('repeated', 128 * 1024, index === 4095));
  const bomb = frame(blocks);
  expect(bomb.length).toBeLessThan(32 * 1024);
  const stream = unzstd(pieces(bomb, bomb.length), 'a layer');
  const before = process.memoryUsage().arrayBuffers;
  await stream.next();
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 * MIB);
  await stream.return(undefined);
});

test('a window that is too large is refused in the first frame and in later ones', async () => {
  const small = frame([block('raw', Buffer.from('x'), true)]);
  const large = frame([block('raw', Buffer.from('x'), true)], { exponent: 18 });
  const refused = { code: 'TOO_LARGE', message: expect.stringContaining('window') };
  await expect(collect(unzstd(pieces(large, 100), 'a layer'))).rejects.toMatchObject(refused);
  const later = Buffer.concat([small, large]);
  await expect(collect(unzstd(pieces(later, 100), 'a layer'))).rejects.toMatchObject(refused);
  // A single segment's window is its whole content: here 1 GiB.
  const single = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 0x40, 1, 0, 0]);
  await expect(collect(unzstd(pieces(single, 100), 'a layer'))).rejects.toMatchObject(refused);
});

/** A compressed block (3.1.1.3) in the last frame of a stream. */
const compressed = (content: Buffer) => {
  const header = Buffer.alloc(3);
  header.writeUIntLE((content.length << 3) | 4 | 1, 0, 3);
  return frame([header, content]);
};

// On Node 20 a decoder that believes them is busy with one for minutes, with the other for ever.
test.each([
  ['sequences that take no bits', Buffer.from([0, 255, 0xff, 0xff, 0x54, 35, 2, 52, 1])],
  ['weights that take no bits', Buffer.from([0x02, 0x40, 0x01, 4, 0xf0, 0x03, 0xff, 0x80, 0, 0, 0, 0, 0])],
])(
  '%s end soon, and nothing else waits for them',
  async (_, content) => {
    let ticks = 0;
    const clock = setInterval(() => ticks++, 10);
    const started = Date.now();
    await expect(collect(unzstd(pieces(compressed(content), 1000), 'it'))).rejects.toMatchObject({
      code: 'CORRUPT',
    });
    const waited = Date.now() - started;
    clearInterval(clock);
    expect(waited).toBeLessThan(20_000);
    expect(ticks).toBeGreaterThan(waited / 100);
    // The next one is none the worse.
    expect(Buffer.concat(await collect(unzstd(pieces(SEVERAL, 7), 'it'))).toString()).toBe('first aaa last');
  },
  30_000,
);

test.each([
  ['of no known type', 3, 10],
  ['that is compressed to nothing', 2, 1],
  ['that is longer than blocks are', 0, 128 * 1024 + 1],
])('a block %s is refused', async (_, type, length) => {
  const header = Buffer.alloc(3);
  header.writeUIntLE((length << 3) | (type << 1) | 1, 0, 3);
  const content = frame([header, Buffer.alloc(length)]);
  await expect(collect(unzstd(pieces(content, 1000), 'it'))).rejects.toMatchObject({ code: 'CORRUPT' });
});

test('a frame that needs a dictionary is refused', async () => {
  const content = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 1, 7 << 3, 9, 1, 0, 0]);
  await expect(collect(unzstd(pieces(content, 1000), 'it'))).rejects.toMatchObject({ code: 'CORRUPT' });
});

test('timers have their turn while the blocks of one chunk are decompressed', async () => {
  const blocks = Array.from({ length: 4096 }, (_, index) => block('repeated', 128 * 1024, index === 4095));
  const bomb = frame(blocks);
  let isOver = false;
  setTimeout(() => {
    isOver = true;
  }, 20);
  let read = 0;
  for await (const part of unzstd(pieces(bomb, bomb.length), 'it')) {
    read += part.length;
    if (isOver) break;
  }
  expect(read).toBeLessThan(4096 * 128 * 1024);
});

test('what comes at once is read before much of the rest is asked for', async () => {
  let asked = 0;
  async function* blocks() {
    for (let index = 0; index < 100; index++) {
      asked++;
      const whole = frame([block('repeated', 1000, index === 99)]);
      yield index === 0 ? whole : whole.subarray(6);
    }
  }
  const stream = unzstd(blocks(), 'it');
  await stream.next();
  expect(asked).toBeLessThan(4);
  await stream.return(undefined);
});

test('what is no zstd is refused by the decoder', async () => {
  const damaged = Buffer.concat([
    frame([block('raw', Buffer.from('x'), true)]),
    Buffer.from('no frame at all'),
  ]);
  await expect(collect(unzstd(pieces(damaged, 4), 'a layer'))).rejects.toThrow(RegistryError);
});

// Decompression of layers and archives: streaming, limited, whatever the Node version.

import { decoded, gunzipAtOnce } from '#runtime';
import { RegistryError } from '../http/registry-error.ts';
import type { Compression } from '../media-types.ts';
import { collected } from '../minor-gc.ts';

/** Output limit: images of real files compress ten times at best, a bomb a thousand times. */
const BOMB_RATIO = 100;
const BOMB_FLOOR_BYTES = 1024 ** 3;
/** Small enough to be decompressed at once, in bytes before and after. */
const AT_ONCE_BYTES = 64 * 1024;
const AT_ONCE_OUTPUT_BYTES = 1024 * 1024;

/** How many bytes a compressed blob of `size` bytes may become. */
export function expansionLimit(size: number): number {
  return Math.max(BOMB_FLOOR_BYTES, size * BOMB_RATIO);
}

/**
 * The compression that the first bytes show.
 * @throws RegistryError UNSUPPORTED_MEDIA_TYPE for xz, bzip2 and lz4
 */
export function detectCompression(head: Uint8Array, what: string): Compression {
  const [a, b, c, d] = head;
  if (a === 0x1f && b === 0x8b) return 'gzip';
  if (a === 0x28 && b === 0xb5 && c === 0x2f && d === 0xfd) return 'zstd';
  // Skippable zstd frames, 0x184D2A5? little-endian, may come first.
  if (a !== undefined && (a & 0xf0) === 0x50 && b === 0x2a && c === 0x4d && d === 0x18) return 'zstd';
  const other = unsupportedCompression(head);
  if (other) {
    throw new RegistryError(
      'UNSUPPORTED_MEDIA_TYPE',
      `${what} is compressed with ${other}; only gzip and zstd can be read`,
    );
  }
  return 'none';
}

function unsupportedCompression(head: Uint8Array): string | undefined {
  const hex = Buffer.from(head.subarray(0, 6)).toString('hex');
  if (hex === 'fd377a585a00') return 'xz';
  if (hex.startsWith('425a68')) return 'bzip2';
  if (hex.startsWith('04224d18')) return 'lz4';
  return undefined;
}

/**
 * Decompresses a stream by what its first bytes are, whatever its media type claims.
 * @param limit most bytes that may come out
 * @throws RegistryError CORRUPT, TOO_LARGE, UNSUPPORTED_MEDIA_TYPE
 */
export async function* decompress(
  stream: AsyncIterable<Uint8Array>,
  limit: number,
  what: string,
): AsyncGenerator<Uint8Array> {
  const [head, whole] = await peek(stream, 6);
  const compression = detectCompression(head, what);
  if (compression === 'none') {
    yield* collected(whole);
    return;
  }
  let size = 0;
  for await (const chunk of collected(await decoded(whole, compression, what))) {
    size += chunk.length;
    if (size > limit) {
      throw new RegistryError(
        'TOO_LARGE',
        `${what} decompresses to more than ${limit} bytes: a decompression bomb`,
      );
    }
    yield chunk;
  }
}

/**
 * The same for something small that is in memory already. Its usual form, a few KiB of gzip, is decompressed at once
 * where the runtime can.
 */
export async function* decompressWhole(
  content: Buffer,
  limit: number,
  what: string,
): AsyncGenerator<Uint8Array> {
  if (content.length <= AT_ONCE_BYTES && detectCompression(content, what) === 'gzip') {
    const whole = await gunzipAtOnce(content, Math.min(limit, AT_ONCE_OUTPUT_BYTES));
    if (whole) {
      yield whole;
      return;
    }
  }
  yield* decompress(once(content), limit, what);
}

async function* once(content: Buffer): AsyncGenerator<Uint8Array> {
  yield content;
}

/** The first bytes of a stream, and the stream with them put back. */
async function peek(
  stream: AsyncIterable<Uint8Array>,
  count: number,
): Promise<[Uint8Array, AsyncIterable<Uint8Array>]> {
  const iterator = stream[Symbol.asyncIterator]();
  const read: Uint8Array[] = [];
  let length = 0;
  while (length < count) {
    const next = await iterator.next();
    if (next.done) break;
    read.push(next.value);
    length += next.value.length;
  }
  const rest: AsyncIterable<Uint8Array> = {
    async *[Symbol.asyncIterator]() {
      try {
        yield* read;
        for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
      } finally {
        await iterator.return?.();
      }
    },
  };
  return [read.length === 1 && read[0] ? read[0] : Buffer.concat(read), rest];
}

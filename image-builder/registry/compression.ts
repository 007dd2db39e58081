// Decompression of layers and archives: streaming, limited, whatever the Node version.

import { Readable, type Transform } from 'node:stream';
import { createGunzip, gunzipSync } from 'node:zlib';
import { RegistryError } from './error.ts';
import { collected } from './garbage.ts';
import type { Compression } from './media-types.ts';

/** Output limit: images of real files compress ten times at best, a bomb a thousand times. */
const BOMB_RATIO = 100;
const BOMB_FLOOR_BYTES = 1024 ** 3;
/** Small enough to be decompressed at once, in bytes before and after. */
const AT_ONCE_BYTES = 64 * 1024;
const AT_ONCE_OUTPUT_BYTES = 1024 * 1024;
/** Of the output of decoders. */
export const DECODER_CHUNK_BYTES = 128 * 1024;

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
  const output = compression === 'gzip' ? await gunzip(whole, what) : await unzstd(whole, what);
  for await (const chunk of collected(output)) {
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
 * The same for something small that is in memory already. Its usual form, a few KiB of gzip, is decompressed at once:
 * that takes less time than to set up a stream.
 */
export async function* decompressWhole(
  content: Buffer,
  limit: number,
  what: string,
): AsyncGenerator<Uint8Array> {
  if (content.length <= AT_ONCE_BYTES && detectCompression(content, what) === 'gzip') {
    const whole = gunzipAtOnce(content, limit);
    if (whole) {
      yield whole;
      return;
    }
  }
  yield* decompress(once(content), limit, what);
}

/** Undefined for what grows too much, or does not decompress: the stream says why, and gives what there is before that. */
function gunzipAtOnce(content: Buffer, limit: number): Buffer | undefined {
  try {
    return gunzipSync(content, { maxOutputLength: Math.min(limit, AT_ONCE_OUTPUT_BYTES) });
  } catch {
    return undefined;
  }
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

async function gunzip(stream: AsyncIterable<Uint8Array>, what: string): Promise<AsyncGenerator<Uint8Array>> {
  if ('Bun' in globalThis) return (await import('./web-decoder.ts')).throughWebDecoder(stream, 'gzip', what);
  return throughDecoder(stream, createGunzip({ chunkSize: DECODER_CHUNK_BYTES }), what);
}

async function unzstd(stream: AsyncIterable<Uint8Array>, what: string): Promise<AsyncGenerator<Uint8Array>> {
  return (await import('./zstd.ts')).unzstd(stream, what);
}

/** Passes a stream through a decoder of node:zlib, which works on a thread of its own. @throws RegistryError CORRUPT */
export async function* throughDecoder(
  stream: AsyncIterable<Uint8Array>,
  decoder: Transform,
  what: string,
): AsyncGenerator<Uint8Array> {
  const input = Readable.from(stream, { objectMode: false, highWaterMark: DECODER_CHUNK_BYTES });
  // A failing input must reach our reader as itself, not as a truncated decompression.
  let inputError: unknown;
  input.on('error', (error) => {
    inputError = error;
    decoder.destroy(error);
  });
  input.pipe(decoder);
  try {
    for await (const chunk of decoder) yield chunk as Buffer;
  } catch (error) {
    throw inputError ?? corrupt(what, error);
  } finally {
    input.destroy();
    decoder.destroy();
  }
}

/** Compressed data that its decoder refuses. */
export function corrupt(what: string, cause: unknown): RegistryError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new RegistryError('CORRUPT', `${what} does not decompress: ${reason}`, { cause });
}

// Decompression of layers and archives: streaming, limited, whatever the Node version.

import { Readable } from 'node:stream';
import { createGunzip, type Gunzip } from 'node:zlib';
import { RegistryError } from './error.ts';
import type { Compression } from './media-types.ts';

/** Output limit: images of real files compress ten times at best, a bomb a thousand times. */
const BOMB_RATIO = 100;
const BOMB_FLOOR_BYTES = 1024 ** 3;
/** Larger windows would be allocated at once; `zstd --long` needs 128 MiB at most by default. */
const ZSTD_WINDOW_LIMIT = 128 * 1024 * 1024;
const CHUNK_BYTES = 128 * 1024;

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
    yield* whole;
    return;
  }
  let size = 0;
  const output = compression === 'gzip' ? gunzip(whole, what) : throughFzstd(whole, what);
  for await (const chunk of output) {
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

async function* gunzip(stream: AsyncIterable<Uint8Array>, what: string): AsyncGenerator<Uint8Array> {
  yield* throughZlib(stream, createGunzip({ chunkSize: CHUNK_BYTES }), what);
}

async function* throughZlib(
  stream: AsyncIterable<Uint8Array>,
  inflate: Gunzip,
  what: string,
): AsyncGenerator<Uint8Array> {
  const input = Readable.from(stream, { objectMode: false, highWaterMark: CHUNK_BYTES });
  // A failing input must reach our reader as itself, not as a truncated decompression.
  let inputError: unknown;
  input.on('error', (error) => {
    inputError = error;
    inflate.destroy(error);
  });
  input.pipe(inflate);
  try {
    for await (const chunk of inflate) yield chunk as Buffer;
  } catch (error) {
    throw inputError ?? corrupt(what, error);
  } finally {
    input.destroy();
    inflate.destroy();
  }
}

/**
 * By fzstd on every Node version: zlib's decoder (from 22.15 on) ends with the first frame, and zstd:chunked and pzstd
 * write many.
 */
async function* throughFzstd(stream: AsyncIterable<Uint8Array>, what: string): AsyncGenerator<Uint8Array> {
  const { Decompress } = await import('fzstd');
  let output: Uint8Array[] = [];
  const decompressor = new Decompress((chunk) => output.push(chunk));
  let first = true;
  for await (const chunk of stream) {
    if (first) checkZstdWindow(chunk, what);
    first = false;
    pushChecked(decompressor, chunk, false, what);
    yield* output;
    output = [];
  }
  pushChecked(decompressor, new Uint8Array(0), true, what);
  yield* output;
}

function pushChecked(
  decompressor: { push(chunk: Uint8Array, final?: boolean): void },
  chunk: Uint8Array,
  final: boolean,
  what: string,
) {
  try {
    decompressor.push(chunk, final);
  } catch (error) {
    throw corrupt(what, error);
  }
}

/** RFC 8878, 3.1.1.1.2: refuses a first frame that wants an absurd window before anything is allocated. */
function checkZstdWindow(head: Uint8Array, what: string): void {
  const [descriptor, window] = [head[4], head[5]];
  if (head[0] !== 0x28 || descriptor === undefined || window === undefined) return;
  const singleSegment = (descriptor & 0x20) !== 0;
  if (singleSegment) return;
  const base = 2 ** (10 + (window >> 3));
  if (base + (base / 8) * (window & 7) > ZSTD_WINDOW_LIMIT) {
    throw new RegistryError(
      'TOO_LARGE',
      `${what} needs a zstd window of more than ${ZSTD_WINDOW_LIMIT} bytes`,
    );
  }
}

function corrupt(what: string, cause: unknown): RegistryError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new RegistryError('CORRUPT', `${what} does not decompress: ${reason}`, { cause });
}

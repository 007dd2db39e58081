// Decompression by node:zlib.

import { Readable, type Transform } from 'node:stream';
import { createGunzip, gunzipSync } from 'node:zlib';
import { corrupt } from '../../oci/http/registry-error.ts';

/** Size of the pieces that decoders put out. */
export const DECODER_CHUNK_BYTES = 128 * 1024;

/** Decompresses a stream of gzip members. @throws RegistryError CORRUPT, and what the stream throws */
export function gunzip(stream: AsyncIterable<Uint8Array>, what: string): AsyncGenerator<Uint8Array> {
  return throughDecoder(stream, createGunzip({ chunkSize: DECODER_CHUNK_BYTES }), what);
}

/** Undefined for what grows too much, or does not decompress: the stream says why, and gives what there is before that. */
export function gunzipAtOnce(content: Buffer, limit: number): Buffer | undefined {
  try {
    return gunzipSync(content, { maxOutputLength: limit });
  } catch {
    return undefined;
  }
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

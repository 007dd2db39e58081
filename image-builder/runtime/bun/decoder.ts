// Decompression by the DecompressionStream of Bun, in half of the time that node:zlib takes there. It knows zstd besides
// what the standard has (https://compression.spec.whatwg.org/), and, as the formats want it, any number of gzip members and
// zstd frames. Node's knows neither.

import { corrupt } from '../../oci/http/registry-error.ts';
import { withCheckedWindow } from '../zstd-window.ts';

declare const DecompressionStream: new (format: 'gzip' | 'zstd') => TransformStream<Uint8Array, Uint8Array>;

/** Decompresses a stream. @throws RegistryError CORRUPT, TOO_LARGE for a window that is, and what the stream throws */
export async function* decode(
  stream: AsyncIterable<Uint8Array>,
  format: 'gzip' | 'zstd',
  what: string,
): AsyncGenerator<Uint8Array> {
  const source = format === 'zstd' ? withCheckedWindow(stream, what) : stream;
  const iterator = source[Symbol.asyncIterator]();
  // A failing input must reach our reader as itself, not as what the decoder makes of it.
  let inputError: unknown;
  const input = new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      try {
        const { done, value } = await iterator.next();
        if (done) controller.close();
        else controller.enqueue(value);
      } catch (error) {
        inputError = error;
        controller.error(error);
      }
    },
  });
  const reader = input.pipeThrough(new DecompressionStream(format)).getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } catch (error) {
    throw inputError ?? corrupt(what, error);
  } finally {
    await reader.cancel().catch(() => {});
    await iterator.return?.();
  }
}

// zstd by fzstd. What a stream stores uncompressed, such as the disk in a layer, does not go through it: it sees stored blocks only
// where a compressed one that follows may refer to them.
import { setImmediate } from 'node:timers/promises';
import { BATCH, FzstdFrame } from './fzstd-frame.ts';
import { type Block, blocksOf } from './zstd-blocks.ts';

/** Of a stored block: smaller ones would be many to remember. */
const WORTH_PASSING_BYTES = 16 * 1024;

/**
 * Decompresses all frames of a stream. All that {@link BATCH} blocks hold is in memory at once.
 * @throws RegistryError CORRUPT for data that are damaged, or take too long; TOO_LARGE for a window that is
 */
export async function* decompress(
  stream: AsyncIterable<Uint8Array>,
  what: string,
): AsyncGenerator<Uint8Array> {
  let decoder: FzstdFrame | undefined;
  let batch: Block[] = [];
  // Whoever looks for something near the beginning gets that before more is read.
  let size = 1;
  const decompressed = async () => {
    // Signals and limits of time have their turn between two calls.
    await setImmediate();
    const blocks = batch;
    batch = [];
    size = Math.min(size * 2, BATCH);
    return blocks.length > 0 && decoder ? decoder.decompress(blocks) : [];
  };
  try {
    for await (const block of blocksOf(stream, what)) {
      if (block.frame !== decoder?.frame) {
        yield* await decompressed();
        await decoder?.close();
        decoder = new FzstdFrame(block.frame, what);
      }
      if (block.isStored && block.length >= WORTH_PASSING_BYTES) {
        yield* await decompressed();
        decoder.pass(block);
        yield* block.content;
      } else if (batch.push(block) === size) yield* await decompressed();
    }
    yield* await decompressed();
  } finally {
    await decoder?.close();
  }
}

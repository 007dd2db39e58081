// fzstd, for as long as it may take. It believes what a frame says: a few bytes keep it busy for minutes (sequences that take no
// bits) or for ever (weights of which one symbol takes no bits). node:vm ends code that takes too long.
import { setImmediate } from 'node:timers/promises';
import { createContext, Script } from 'node:vm';
import { Decompress } from 'fzstd';
import { corrupt } from '../../oci/http/registry-error.ts';
import { BlockCutter, WINDOW_LIMIT_BYTES } from '../zstd-blocks.ts';

/** Milliseconds for one call, for which signals wait too; an honest block takes five, and a busy machine is slower. */
const PATIENCE = 5_000;

/** Blocks that are decompressed in one call at most: the watch over a call costs a tenth of a millisecond. */
const BATCH = 32;

/**
 * Decompresses all frames of a stream. All that {@link BATCH} blocks hold is in memory at once.
 * @throws RegistryError CORRUPT for data that are damaged, or take too long; TOO_LARGE for a window that is
 */
export async function* decompress(
  stream: AsyncIterable<Uint8Array>,
  what: string,
): AsyncGenerator<Uint8Array> {
  const context = createContext({});
  const call = new Script('work()');
  let output: Uint8Array[] = [];
  const decoder = new Decompress((part) => output.push(part));
  const push = (pieces: Uint8Array[], isLast: boolean): Uint8Array[] => {
    output = [];
    context.work = () => {
      for (const piece of pieces) decoder.push(piece);
      if (isLast) decoder.push(new Uint8Array(0), true);
    };
    try {
      call.runInContext(context, { timeout: PATIENCE });
    } catch (error) {
      const isLate = (error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT';
      throw corrupt(what, isLate ? new Error('it takes too long') : error);
    }
    return output;
  };
  const cutter = new BlockCutter(WINDOW_LIMIT_BYTES, what);
  let pieces: Uint8Array[] = [];
  // Whoever looks for something near the beginning gets that before more is read.
  let batch = 1;
  for await (const chunk of stream) {
    for (const piece of cutter.cut(chunk)) {
      if (pieces.push(piece) < batch) continue;
      // Limits of time and signals have their turn between two calls, also when the blocks of one chunk take hours.
      await setImmediate();
      yield* push(pieces, false);
      pieces = [];
      batch = Math.min(batch * 2, BATCH);
    }
  }
  yield* push(pieces, true);
}

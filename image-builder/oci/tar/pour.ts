// Feeds files into a tar-stream archive at the pace of whoever reads it.

import { createReadStream } from 'node:fs';
import type { Pack } from 'tar-stream';
import { throwIfCancelled } from '../../base/diagnostics/cancelled.ts';
import { drained } from '../../base/drained.ts';

/** Size of the blocks that are read and written: large, since every block is one turn of the event loop. */
export const BLOCK = 1 << 20;

type EntrySink = ReturnType<Pack['entry']>;

/**
 * Copies a file into an entry of an archive and ends the entry. Memory: one block.
 * @returns the number of bytes
 */
export async function pour(source: string, entry: EntrySink, signal?: AbortSignal): Promise<number> {
  let failure: unknown;
  entry.on('error', (error) => {
    failure = error;
  });
  let count = 0;
  for await (const chunk of createReadStream(source, { highWaterMark: BLOCK }) as AsyncIterable<Buffer>) {
    throwIfCancelled(signal);
    count += chunk.length;
    if (!entry.write(chunk)) await drained(entry);
    if (failure) throw failure;
  }
  entry.end(null);
  return count;
}

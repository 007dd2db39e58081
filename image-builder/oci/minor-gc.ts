// Keeps the memory of long streams low.

import { youngCollector } from '#runtime';

/** Bytes that pass before what they were in is collected. */
const PASSED_BYTES = 6 * 1024 * 1024;

/**
 * Passes a stream on, and has V8 collect its buffers now and then. They lie outside V8's heap, which therefore sees
 * little reason to, the less the newer it is and the busier the machine: 60 to 90 MiB of them would lie about. A
 * collection of what is young takes a millisecond; short streams have none.
 */
export async function* collected(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let collect: (() => void) | undefined;
  let passed = 0;
  for await (const chunk of stream) {
    passed += chunk.length;
    yield chunk;
    if (passed < PASSED_BYTES) continue;
    passed = 0;
    collect ??= await youngCollector();
    collect();
  }
}

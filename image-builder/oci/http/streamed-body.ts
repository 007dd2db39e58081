// Request bodies that are too large for memory: sent at the pace of the network, and only when the server wants them.

import type { ClientRequest } from 'node:http';
import { drained } from '../../base/drained.ts';

/** A body of known length. */
export interface StreamedBody {
  /** Bytes that `open` yields. */
  length: number;
  /** Called for each time that the body is sent. */
  open(): AsyncIterable<Uint8Array>;
}

/** Not every server answers an expectation; after this the body is sent anyway (RFC 9110, 10.1.1). Milliseconds. */
const LONGEST_EXPECTATION = 1000;

/**
 * Sends the body of a request that has the header `Expect: 100-continue`, unless a final answer comes first. Failures
 * of the source and of the connection are errors of the request.
 */
export function sendStream(outgoing: ClientRequest, body: StreamedBody): void {
  let state: 'waiting' | 'sending' | 'refused' = 'waiting';
  const begin = () => {
    if (state !== 'waiting') return;
    state = 'sending';
    void feed(outgoing, body);
  };
  const timer = setTimeout(begin, LONGEST_EXPECTATION);
  outgoing.once('continue', begin);
  outgoing.once('response', (answer) => {
    clearTimeout(timer);
    const isUnsent = state === 'waiting';
    if (isUnsent) state = 'refused';
    // The server waits for a body that does not come: the connection is of no more use.
    if (isUnsent || !outgoing.writableFinished) answer.once('close', () => outgoing.destroy());
  });
  outgoing.once('close', () => {
    clearTimeout(timer);
    if (state === 'waiting') state = 'refused';
  });
  outgoing.flushHeaders();
}

/** Not a pipeline: that would turn a failure of the source into one of the connection. */
async function feed(outgoing: ClientRequest, body: StreamedBody): Promise<void> {
  try {
    for await (const part of body.open()) {
      if (outgoing.destroyed) return;
      if (!outgoing.write(part)) await drained(outgoing);
    }
    outgoing.end();
  } catch (error) {
    outgoing.destroy(error as Error);
  }
}

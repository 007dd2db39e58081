/** What of a stream or a request counts here. */
interface Destroyable {
  destroy(reason: Error): unknown;
  once(event: 'close', listener: () => void): unknown;
}

/**
 * Destroys it when the signal is aborted, as long as it is open. As the option `signal` of Node's sockets and requests, which
 * takes a millisecond for its first one.
 */
export function destroyOnAbort(stream: Destroyable, signal: AbortSignal | undefined): void {
  if (!signal) return;
  const abort = () => stream.destroy(new Error('aborted'));
  if (signal.aborted) {
    abort();
    return;
  }
  signal.addEventListener('abort', abort, { once: true });
  stream.once('close', () => signal.removeEventListener('abort', abort));
}

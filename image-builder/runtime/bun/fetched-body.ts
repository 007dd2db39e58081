// The body of an answer of fetch, at the pace of its reader, and the watch over a peer that falls silent.

import { networkError } from '../../oci/http/network-error.ts';
import { type Cost, expired, type ResponseBody } from '../../oci/http/transport.ts';

/** Waits for a peer, and says what is wrong with it. */
export class Watched {
  readonly #url: URL;
  readonly #signal: AbortSignal | undefined;
  readonly #abort: AbortController;
  readonly #idleTimeout: number;

  constructor(url: URL, signal: AbortSignal | undefined, abort: AbortController, idleTimeout: number) {
    this.#url = url;
    this.#signal = signal;
    this.#abort = abort;
    this.#idleTimeout = idleTimeout;
  }

  /** @throws RegistryError */
  async within<T>(work: Promise<T>): Promise<T> {
    const giveUp = () => this.#abort.abort(expired(this.#url, 'sent nothing', this.#idleTimeout));
    const timer = setTimeout(giveUp, this.#idleTimeout);
    try {
      return await work;
    } catch (error) {
      const cause = this.#abort.signal.aborted ? this.#abort.signal.reason : error;
      throw networkError(cause, this.#url, this.#signal);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** The body of an answer of fetch. */
export class FetchedBody implements ResponseBody {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  readonly #cost: Cost;
  readonly #watched: Watched;
  readonly #abort: AbortController;
  #ended = false;

  constructor(response: Response, cost: Cost, watched: Watched, abort: AbortController) {
    this.#reader = response.body?.getReader();
    this.#cost = cost;
    this.#watched = watched;
    this.#abort = abort;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        const next = await this.#read();
        if (next === undefined) return;
        yield next;
      }
    } finally {
      this.destroy();
    }
  }

  resume(): void {
    const rest = async () => {
      while ((await this.#read()) !== undefined);
    };
    rest().catch(() => {});
  }

  destroy(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#abort.abort();
  }

  /** The next piece; undefined at the end. */
  async #read(): Promise<Uint8Array | undefined> {
    if (this.#ended || !this.#reader) return undefined;
    const { done, value } = await this.#watched.within(this.#reader.read());
    if (done) {
      this.#ended = true;
      return undefined;
    }
    this.#cost.bytes += value.length;
    return value;
  }
}

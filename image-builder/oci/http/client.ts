// HTTP for registries: retries with backoff, Retry-After, redirects that lose credentials on the way to another origin,
// time-outs, and the count of what it all cost.

import { throwIfCancelled } from '../../base/diagnostics/cancelled.ts';
import { networkError } from './network-error.ts';
import { isRedirect, redirected } from './redirect.ts';
import { RegistryError } from './registry-error.ts';
import {
  type Cost,
  expired,
  type HttpRequest,
  type HttpResponse,
  type Patience,
  type Transport,
} from './transport.ts';

/** Milliseconds, and counts. */
export interface HttpLimits extends Patience {
  /** Sent again this many times. */
  retries: number;
  /** First delay; doubles each time, with jitter. */
  retryDelay: number;
  /** A longer Retry-After is not waited for. */
  longestDelay: number;
  redirects: number;
  /** All together, as far as the caller limits them. */
  requests: number;
}

export const DEFAULT_LIMITS: HttpLimits = {
  connectTimeout: 15_000,
  idleTimeout: 60_000,
  retries: 4,
  retryDelay: 250,
  longestDelay: 30_000,
  redirects: 5,
  requests: Number.POSITIVE_INFINITY,
};

/** Statuses after which a later attempt may succeed. */
const TEMPORARY = new Set([408, 429, 500, 502, 503, 504]);

/** Sends requests to registries, each to its final answer. */
export class HttpClient {
  readonly cost: Cost;
  readonly #transport: Transport;
  readonly #limits: HttpLimits;
  readonly #signal: AbortSignal | undefined;

  constructor(transport: Transport, cost: Cost, limits: HttpLimits = DEFAULT_LIMITS, signal?: AbortSignal) {
    this.#transport = transport;
    this.#limits = limits;
    this.#signal = signal;
    this.cost = cost;
  }

  get retries(): number {
    return this.#limits.retries;
  }

  /** The whole of a body that is expected to be small. @throws RegistryError TOO_LARGE, NETWORK, TIMEOUT; CancelledError */
  read(response: HttpResponse, limit: number): Promise<Buffer> {
    return readBody({ url: response.url, body: this.body(response) }, limit, this.#signal);
  }

  /** The body of an answer; one that hardly moves is as good as silent. */
  body(response: HttpResponse): AsyncGenerator<Uint8Array> {
    return paced(response, this.#limits.idleTimeout);
  }

  /**
   * Sends a request until there is an answer that is final: neither a redirect nor, as long as attempts are left, a
   * temporary failure. Any other status is the caller's business.
   * @throws RegistryError NETWORK, TIMEOUT, TLS, REDIRECT; CancelledError
   */
  async send(request: HttpRequest): Promise<HttpResponse> {
    const isRepeatable = request.body === undefined || Buffer.isBuffer(request.body);
    for (let attempt = 0; ; attempt++) {
      const last = !isRepeatable || attempt >= this.#limits.retries;
      try {
        const response = await this.#follow(request);
        if (last || !TEMPORARY.has(response.status)) return response;
        const delay = this.#delay(attempt, response);
        if (delay === undefined) return response;
        response.body.resume();
        await this.#sleep(delay);
      } catch (error) {
        if (last || !isTemporary(error)) throw error;
        await this.#sleep(this.#delay(attempt) ?? 0);
      }
    }
  }

  /**
   * A small answer with its whole body; one that breaks off is asked for again.
   * @param ask sends the request
   * @param limit refused above this size, in bytes
   */
  async whole(
    ask: () => Promise<HttpResponse>,
    limit: (response: HttpResponse) => number,
  ): Promise<{ response: HttpResponse; content: Buffer }> {
    for (let attempt = 0; ; attempt++) {
      const response = await ask();
      try {
        return { response, content: await this.read(response, limit(response)) };
      } catch (error) {
        if (attempt >= this.#limits.retries || !isBroken(error)) throw error;
        await this.pause(attempt);
      }
    }
  }

  /** Waits before the next attempt of something that the caller repeats itself. */
  async pause(attempt: number): Promise<void> {
    await this.#sleep(this.#delay(attempt) ?? 0);
  }

  /** See {@link Transport.speaksTls}. @throws CancelledError */
  async speaksTls(url: URL): Promise<boolean> {
    throwIfCancelled(this.#signal);
    return this.#transport.speaksTls(url, this.#signal);
  }

  close(): void {
    this.#transport.close();
  }

  async #follow(first: HttpRequest): Promise<HttpResponse> {
    let request = first;
    let abroad = false;
    for (let redirects = 0; ; redirects++) {
      const response = await this.#exchange(request);
      const location = response.headers.location;
      if (!isRedirect(response.status) || location === undefined)
        return abroad ? Object.assign(response, { abroad }) : response;
      response.body.resume();
      if (redirects >= this.#limits.redirects) {
        throw new RegistryError(
          'REDIRECT',
          this.#limits.redirects === 0
            ? `${first.url.host} redirects to ${new URL(location, request.url).host}, and only itself is asked`
            : `${first.url.host} redirects more than ${this.#limits.redirects} times`,
        );
      }
      request = redirected(request, response.status, location, first.url);
      abroad ||= request.url.origin !== first.url.origin;
    }
  }

  async #exchange(request: HttpRequest): Promise<HttpResponse> {
    throwIfCancelled(this.#signal);
    if (this.cost.requests >= this.#limits.requests) {
      throw new RegistryError(
        'TOO_LARGE',
        `${request.url.host} would need more than ${this.#limits.requests} requests for one read; stopped`,
      );
    }
    return this.#transport.exchange(request, this.cost, this.#signal);
  }

  /** Milliseconds to wait; undefined when the server wants more patience than there is. */
  #delay(attempt: number, response?: HttpResponse): number | undefined {
    const after = response && retryAfter(response.headers['retry-after']);
    if (after !== undefined) return after <= this.#limits.longestDelay ? after : undefined;
    const most = Math.min(this.#limits.retryDelay * 2 ** attempt, this.#limits.longestDelay);
    return most / 2 + (Math.random() * most) / 2;
  }

  async #sleep(milliseconds: number): Promise<void> {
    throwIfCancelled(this.#signal);
    await new Promise<void>((resolve) => {
      const finish = () => {
        clearTimeout(timer);
        this.#signal?.removeEventListener('abort', finish);
        resolve();
      };
      const timer = setTimeout(finish, milliseconds);
      this.#signal?.addEventListener('abort', finish, { once: true });
    });
    throwIfCancelled(this.#signal);
  }
}

/** Milliseconds of a Retry-After header: seconds or a date (RFC 9110, 10.2.3). */
export function retryAfter(value: string | undefined, now: number = Date.now()): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d+$/.test(value.trim())) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

function isTemporary(error: unknown): boolean {
  return (
    error instanceof RegistryError &&
    (error.code === 'NETWORK' || error.code === 'TIMEOUT') &&
    error.status === undefined
  );
}

/** Whether an answer broke off in transit: asking again may help. */
export function isBroken(error: unknown): boolean {
  return error instanceof RegistryError && (error.code === 'NETWORK' || error.code === 'TIMEOUT');
}

/** The least that a body must deliver in the time that an answer may be silent; anything slower has stalled. */
export const LEAST_PROGRESS_BYTES = 64 * 1024;

/** Only time spent waiting for the network counts: the reader may be slow. */
async function* paced(response: HttpResponse, patience: number): AsyncGenerator<Uint8Array> {
  const body = response.body[Symbol.asyncIterator]();
  let waited = 0;
  let bytes = 0;
  try {
    for (;;) {
      // Not performance.now(): loading that takes as long as a small answer.
      const asked = process.uptime();
      const next = await body.next();
      if (next.done) return;
      waited += (process.uptime() - asked) * 1000;
      bytes += next.value.length;
      if (waited > patience) {
        if (bytes < LEAST_PROGRESS_BYTES)
          throw expired(response.url, `sent less than ${LEAST_PROGRESS_BYTES / 1024} KiB`, patience);
        [waited, bytes] = [0, 0];
      }
      yield next.value;
    }
  } finally {
    // Nothing when it is at its end.
    response.body.destroy();
  }
}

/** Reads a body that is expected to be small. @throws RegistryError TOO_LARGE, NETWORK, TIMEOUT */
export async function readBody(
  { url, body }: { url: URL; body: AsyncIterable<Uint8Array> },
  limit: number,
  signal?: AbortSignal,
): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const part of body) {
      size += part.length;
      if (size > limit)
        throw new RegistryError(
          'TOO_LARGE',
          `${url.host} sent more than ${limit} bytes where a small document was expected`,
        );
      parts.push(part);
    }
  } catch (error) {
    throw networkError(error, url, signal);
  }
  return Buffer.concat(parts);
}

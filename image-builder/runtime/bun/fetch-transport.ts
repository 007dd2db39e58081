// Requests by the fetch of Bun, which knows proxies, authorities and client certificates by request, and fails with the codes of Node.
// https://bun.com/docs/runtime/networking/fetch

import type { IncomingHttpHeaders } from 'node:http';
import type { Env } from '../../base/env.ts';
import type { TlsSettings } from '../../oci/http/connection-settings.ts';
import { isUnknownAuthority } from '../../oci/http/network-error.ts';
import { proxyFor } from '../../oci/http/proxy.ts';
import { proxyRefuses, proxyUnusable } from '../../oci/http/proxy-error.ts';
import { CLIENT_HELLO, isTlsAnswer } from '../../oci/http/tls-hello.ts';
import {
  type Cost,
  type HttpRequest,
  type HttpResponse,
  type Patience,
  type Transport,
  USER_AGENT,
} from '../../oci/http/transport.ts';
import { FetchedBody, Watched } from './fetched-body.ts';

/** What is used of Bun. */
interface Bun {
  connect(options: {
    hostname: string;
    port: number;
    socket: {
      open(socket: BunSocket): void;
      data(socket: BunSocket, data: Uint8Array): void;
      error(): void;
      end(): void;
      connectError(): void;
    };
  }): Promise<BunSocket>;
}
interface BunSocket {
  write(data: Uint8Array): number;
  terminate(): void;
}
declare const Bun: Bun;

/** The options of Bun's fetch that others do not have. */
interface BunRequest extends RequestInit {
  /** Bodies are digested as they were sent. */
  decompress: false;
  /** Bun would end every request after five minutes. */
  timeout: false;
  /** False: no proxy, not even one from the environment, which Bun reads by other rules. */
  proxy: string | false;
  tls?: Trust;
}

/** `ca` is believed instead of Bun's own list. */
interface Trust {
  ca?: string[];
  cert?: string;
  key?: string;
  rejectUnauthorized?: boolean;
}

/** Sends what has no stream for a body; that is left to `streaming`. */
export class FetchTransport implements Transport {
  readonly #environment: Env;
  readonly #tlsFor: (host: string) => Promise<TlsSettings>;
  readonly #patience: Patience;
  readonly #streaming: () => Promise<Transport>;
  #streamed: Promise<Transport> | undefined;
  /** By host: the lists of authorities to try; once one has worked, only that one. */
  readonly #trusts = new Map<string, Trust[]>();

  /**
   * @param tlsFor TLS settings of a `host[:port]`
   * @param patience fetch does not tell when it is connected, so the longer time-out holds until then, too
   * @param streaming makes the transport for bodies that are streams
   */
  constructor(
    environment: Env,
    tlsFor: (host: string) => Promise<TlsSettings>,
    patience: Patience,
    streaming: () => Promise<Transport>,
  ) {
    this.#environment = environment;
    this.#tlsFor = tlsFor;
    this.#patience = patience;
    this.#streaming = streaming;
  }

  async exchange(request: HttpRequest, cost: Cost, signal?: AbortSignal): Promise<HttpResponse> {
    const { url, body } = request;
    if (body !== undefined && !Buffer.isBuffer(body)) {
      this.#streamed ??= this.#streaming();
      return (await this.#streamed).exchange(request, cost, signal);
    }
    const proxy = proxyFor(url, this.#environment);
    const options: BunRequest = {
      method: request.method,
      headers: {
        'user-agent': USER_AGENT,
        // Otherwise Bun asks for compressed answers.
        'accept-encoding': 'identity',
        ...request.headers,
      },
      ...(body && { body: new Uint8Array(body) }),
      redirect: 'manual',
      decompress: false,
      timeout: false,
      proxy: proxy?.href ?? false,
    };
    try {
      return await this.#verified(url, options, cost, signal);
    } catch (error) {
      throw proxy ? proxyFault(error, proxy, url) : error;
    }
  }

  async #verified(url: URL, options: BunRequest, cost: Cost, signal?: AbortSignal): Promise<HttpResponse> {
    if (url.protocol === 'http:') return this.#fetch(url, options, cost, signal);
    const trusts = await this.#trustsOf(url.host);
    for (const [index, tls] of trusts.entries()) {
      try {
        const response = await this.#fetch(url, { ...options, tls }, cost, signal);
        this.#trusts.set(url.host, [tls]);
        return response;
      } catch (error) {
        if (index === trusts.length - 1 || !isUnknownAuthority(error)) throw error;
      }
    }
    throw new TypeError('certificates are not verified');
  }

  speaksTls(url: URL, signal?: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      let socket: BunSocket | undefined;
      let finished = false;
      const finish = (answer: boolean) => {
        finished = true;
        clearTimeout(timer);
        signal?.removeEventListener('abort', unknown);
        socket?.terminate();
        resolve(answer);
      };
      // Left for the request to meet.
      const unknown = () => finish(true);
      const timer = setTimeout(unknown, this.#patience.connectTimeout);
      signal?.addEventListener('abort', unknown, { once: true });
      Bun.connect({
        hostname: url.hostname.replace(/^\[|\]$/g, ''),
        port: Number(url.port || 443),
        socket: {
          open: (opened) => {
            socket = opened;
            if (finished) opened.terminate();
            else opened.write(CLIENT_HELLO);
          },
          data: (_, [first]) => finish(isTlsAnswer(first)),
          error: unknown,
          end: unknown,
          connectError: unknown,
        },
      }).catch(unknown);
    });
  }

  close(): void {
    void this.#streamed?.then((transport) => transport.close());
  }

  /** One after the other: setting up a list of authorities takes time, and the host's own is probably the right one. */
  async #trustsOf(host: string): Promise<Trust[]> {
    const known = this.#trusts.get(host);
    if (known) return known;
    const { ca = [], hostCa = [], cert, key, insecure } = await this.#tlsFor(host);
    const client = { ...(cert && { cert }), ...(key && { key }) };
    if (insecure) return [{ ...client, rejectUnauthorized: false }];
    const lists = [hostCa, undefined, ca].filter((list) => list === undefined || list.length > 0);
    return lists.map((list) => ({ ...client, ...(list && { ca: list }) }));
  }

  async #fetch(url: URL, options: BunRequest, cost: Cost, signal?: AbortSignal): Promise<HttpResponse> {
    const { idleTimeout } = this.#patience;
    const abort = new AbortController();
    const watched = new Watched(url, signal, abort, idleTimeout);
    const end = signal ? AbortSignal.any([signal, abort.signal]) : abort.signal;
    let response: Response;
    try {
      response = await watched.within(fetch(url, { ...options, signal: end }));
    } catch (error) {
      // Without a handshake no request was sent.
      if ((error as { code?: unknown }).code !== 'TLS') cost.requests++;
      throw error;
    }
    cost.requests++;
    const headers: IncomingHttpHeaders = Object.fromEntries(response.headers);
    return { status: response.status, headers, url, body: new FetchedBody(response, cost, watched, abort) };
  }
}

/** Codes of errors before there is a connection: to the proxy, if there is one. */
const UNCONNECTED = /^(?:ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT)$/;

/** The error, or what is wrong with the proxy. */
function proxyFault(error: unknown, proxy: URL, url: URL): unknown {
  const cause = (error as Error).cause as (Error & { code?: string }) | undefined;
  if (cause?.code === 'ERR_PROXY_TUNNEL') {
    const status = /\b(\d{3})\b/.exec(cause.message)?.[1];
    return proxyRefuses(proxy, `${url.hostname}:${url.port || 443}`, status ? Number(status) : undefined);
  }
  return cause && UNCONNECTED.test(cause.code ?? '') ? proxyUnusable(proxy, cause) : error;
}

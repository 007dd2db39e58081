// What sends single requests: no retries, no redirects. Each runtime has an implementation: see runtime/.

import type { IncomingHttpHeaders } from 'node:http';
import { RegistryError } from './registry-error.ts';
import type { StreamedBody } from './streamed-body.ts';

/** What reading has cost so far. */
export interface Cost {
  /** HTTP requests sent, tokens and redirects included; 0 for local sources. */
  requests: number;
  /** Bytes received in response bodies, or read from local files. */
  bytes: number;
}

/** Milliseconds. */
export interface Patience {
  connectTimeout: number;
  /** Longest silence while waiting for an answer or within one. */
  idleTimeout: number;
}

export interface HttpRequest {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  url: URL;
  headers?: Record<string, string>;
  /**
   * A buffer is sent with every attempt, and to no other origin; a stream, which is the octets of a blob, with one attempt
   * only: who sends it knows how to go on.
   */
  body?: Buffer | StreamedBody;
}

/** An answer whose body has not been read. It must be read to its end, or one of the methods of the body be called. */
export interface HttpResponse {
  status: number;
  headers: IncomingHttpHeaders;
  /** Where the answer came from, after redirects. */
  url: URL;
  /** A redirect on the way has led to another origin: what the answer asks for, the first one does not ask for. */
  abroad?: true;
  body: ResponseBody;
}

/** Bytes on their way. Whoever stops in the middle ends the transfer. */
export interface ResponseBody extends AsyncIterable<Uint8Array> {
  /** Lets the rest come without looking at it, so that the connection can be used again. */
  resume(): void;
  /** Ends the transfer. */
  destroy(): void;
}

/** Sends requests over connections that it keeps. */
export interface Transport {
  /**
   * Sends a request; the answer is final for the transport, whatever its status.
   * @param cost what it costs is added here, the body as it comes
   * @throws RegistryError NETWORK, TIMEOUT, TLS, CONFIGURATION; CancelledError
   */
  exchange(request: HttpRequest, cost: Cost, signal?: AbortSignal): Promise<HttpResponse>;
  /** Whether a host that no proxy leads to speaks TLS. Asked with nothing of a request. */
  speaksTls(url: URL, signal?: AbortSignal): Promise<boolean>;
  /** Ends all connections. */
  close(): void;
}

export const USER_AGENT = 'image-builder';

/** A silent peer is a dead one. @param after milliseconds */
export function expired(url: URL, what: string, after: number): RegistryError {
  return new RegistryError('TIMEOUT', `${url.host} ${what} within ${after / 1000} s`, {
    hint: 'Check the host, the network and the proxy settings (HTTPS_PROXY, NO_PROXY).',
  });
}

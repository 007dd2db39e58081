// Requests by node:http. Bun has that too, and uses it for bodies that are streams.

import { setMaxListeners } from 'node:events';
import http from 'node:http';
import type { Env } from '../../base/env.ts';
import type { TlsSettings } from '../../oci/http/connection-settings.ts';
import { networkError } from '../../oci/http/network-error.ts';
import { sendStream } from '../../oci/http/streamed-body.ts';
import {
  type Cost,
  expired,
  type HttpRequest,
  type HttpResponse,
  type Patience,
  type Transport,
  USER_AGENT,
} from '../../oci/http/transport.ts';
import { Connections } from './connections.ts';
import { destroyOnAbort } from './destroy-on-abort.ts';

/** @param tlsFor TLS settings of a `host[:port]` */
export function httpTransport(
  env: Env,
  tlsFor: (host: string) => Promise<TlsSettings>,
  patience: Patience,
): Transport {
  return new HttpTransport(new Connections(env, tlsFor, patience.connectTimeout), patience);
}

class HttpTransport implements Transport {
  readonly #connections: Connections;
  readonly #patience: Patience;

  constructor(connections: Connections, patience: Patience) {
    this.#connections = connections;
    this.#patience = patience;
  }

  async exchange(
    { url, body, ...request }: HttpRequest,
    cost: Cost,
    signal?: AbortSignal,
  ): Promise<HttpResponse> {
    const isBuffer = Buffer.isBuffer(body);
    const { agent, options, secure } = await this.#connections.route(url);
    // Every request that is under way listens, and so does its connection: of more than five Node would warn of a leak.
    if (signal) setMaxListeners(0, signal);
    return new Promise((resolve, reject) => {
      const outgoing = http.request({
        ...options,
        protocol: secure ? 'https:' : 'http:',
        agent,
        method: request.method,
        headers: {
          host: url.host,
          'user-agent': USER_AGENT,
          ...request.headers,
          ...(body && { 'content-length': String(body.length) }),
          // A registry that wants another token, or none of it, says so before gigabytes are sent.
          ...(body && !isBuffer && { expect: '100-continue' }),
          ...(options.headers as Record<string, string> | undefined),
        },
      });
      destroyOnAbort(outgoing, signal);
      this.#watch(outgoing, url);
      outgoing.once('error', (cause) => {
        const error = networkError(cause, url, signal);
        // Without a handshake no request was sent.
        if (error.code !== 'TLS') cost.requests++;
        reject(error);
      });
      outgoing.once('response', (answer) => {
        cost.requests++;
        answer.on('data', (chunk: Buffer) => {
          cost.bytes += chunk.length;
        });
        // Counting must not start the flow: the reader does.
        answer.pause();
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, url, body: answer });
      });
      if (body && !isBuffer) sendStream(outgoing, body);
      else outgoing.end(body);
    });
  }

  speaksTls(url: URL, signal?: AbortSignal): Promise<boolean> {
    return this.#connections.speaksTls(url, signal);
  }

  close(): void {
    this.#connections.close();
  }

  /** The connection must come quickly, data at least now and then. */
  #watch(outgoing: http.ClientRequest, url: URL): void {
    const { connectTimeout, idleTimeout } = this.#patience;
    const connecting = setTimeout(
      () => outgoing.destroy(expired(url, 'did not accept a connection', connectTimeout)),
      connectTimeout,
    );
    outgoing.once('close', () => clearTimeout(connecting));
    outgoing.once('socket', (socket) => {
      const ready = () => clearTimeout(connecting);
      if (!socket.connecting) ready();
      else socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', ready);
    });
    // Headers that drip in do not count as an answer either.
    outgoing.once('finish', () => {
      const answering = setTimeout(
        () => outgoing.destroy(expired(url, 'did not respond', idleTimeout)),
        idleTimeout,
      );
      for (const event of ['response', 'close']) outgoing.once(event, () => clearTimeout(answering));
    });
    outgoing.setTimeout(idleTimeout, () => outgoing.destroy(expired(url, 'sent nothing', idleTimeout)));
  }
}

// HTTP requests to a container engine by Docker's interface (https://docs.docker.com/reference/api/engine/), which Podman
// has too: over its socket, TCP or TLS.
import http from 'node:http';
import https from 'node:https';
import type { Duplex } from 'node:stream';
import type { EngineAddress } from './address.ts';

/** The engine has refused a request. */
export class EngineApiError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

type Method = 'GET' | 'POST' | 'DELETE';

/** Text that an engine answers at once is no longer than this; images come as a stream. */
const TEXT_LIMIT_BYTES = 64 * 1024 * 1024;

/** Sends requests to one engine. */
export class EngineClient {
  readonly #address: EngineAddress;

  constructor(address: EngineAddress) {
    this.#address = address;
  }

  /** The JSON that the engine answers; undefined for an empty answer. @throws EngineApiError, or that of the connection */
  async json(method: Method, path: string, body?: unknown): Promise<unknown> {
    const response = await this.stream(method, path, body);
    const text = await readText(response);
    return text === '' ? undefined : JSON.parse(text);
  }

  /** The answer as it comes. @throws EngineApiError when the engine has refused, or the error of the connection */
  async stream(
    method: Method,
    path: string,
    body?: unknown,
    signal?: AbortSignal,
  ): Promise<http.IncomingMessage> {
    const response = await new Promise<http.IncomingMessage>((done, fail) => {
      const text = body === undefined ? undefined : JSON.stringify(body);
      const headers = text ? { 'content-type': 'application/json' } : {};
      const request = this.#request(method, path, headers, signal);
      request.once('response', done).once('error', fail).end(text);
    });
    const { statusCode = 0 } = response;
    if (statusCode < 400) return response;
    throw new EngineApiError(
      statusCode,
      messageOf(await readText(response)) || `the engine answers ${statusCode}`,
    );
  }

  /** A connection to the standard streams of a container (ContainerAttach). */
  attach(path: string): Promise<Duplex> {
    return new Promise((done, fail) => {
      const request = this.#request('POST', path, { connection: 'Upgrade', upgrade: 'tcp' });
      request.once('upgrade', (_response, socket, head) => {
        if (head.length > 0) socket.unshift(head);
        done(socket);
      });
      request.once('response', async (response) => {
        const text = await readText(response);
        fail(new EngineApiError(response.statusCode ?? 0, messageOf(text) || 'the engine does not attach'));
      });
      request.once('error', fail).end();
    });
  }

  #request(
    method: Method,
    path: string,
    headers: http.OutgoingHttpHeaders,
    signal?: AbortSignal,
  ): http.ClientRequest {
    // A connection for each request: a container is waited for over one of them while others come and go.
    const options = { method, path, headers, agent: false as const, ...(signal && { signal }) };
    if ('socketPath' in this.#address) return http.request({ ...options, ...this.#address });
    const { tls, ...address } = this.#address;
    return tls ? https.request({ ...options, ...address, ...tls }) : http.request({ ...options, ...address });
  }
}

async function readText(response: http.IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > TEXT_LIMIT_BYTES) throw new Error(`the engine answers more than ${TEXT_LIMIT_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function messageOf(text: string): string {
  try {
    return String((JSON.parse(text) as { message?: unknown }).message ?? text);
  } catch {
    return text.trim();
  }
}

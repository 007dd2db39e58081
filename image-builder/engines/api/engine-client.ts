// HTTP requests to an engine (https://docs.docker.com/reference/api/engine/), over its socket, TCP or TLS.
import http from 'node:http';
import https from 'node:https';
import type { Duplex } from 'node:stream';
import type { ApiAddress } from './host.ts';

/** The engine has refused a request. */
export class ApiError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

type Method = 'GET' | 'POST' | 'DELETE';

/** Sends requests to one engine. */
export class ApiClient {
  readonly #address: ApiAddress;

  constructor(address: ApiAddress) {
    this.#address = address;
  }

  /** The JSON that the engine answers; undefined for an empty answer. @throws ApiError, or that of the connection */
  async json(method: Method, path: string, body?: unknown): Promise<unknown> {
    const response = await this.stream(method, path, body);
    const text = await readText(response);
    return text === '' ? undefined : JSON.parse(text);
  }

  /** The answer as it comes. @throws ApiError when the engine has refused */
  async stream(method: Method, path: string, body?: unknown): Promise<http.IncomingMessage> {
    const response = await new Promise<http.IncomingMessage>((done, fail) => {
      const text = body === undefined ? undefined : JSON.stringify(body);
      const request = this.#request(method, path, text ? { 'content-type': 'application/json' } : {});
      request.once('response', done).once('error', fail).end(text);
    });
    const { statusCode = 0 } = response;
    if (statusCode < 400) return response;
    throw new ApiError(statusCode, messageOf(await readText(response)) || `the engine answers ${statusCode}`);
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
        fail(new ApiError(response.statusCode ?? 0, messageOf(text) || 'the engine does not attach'));
      });
      request.once('error', fail).end();
    });
  }

  #request(method: Method, path: string, headers: http.OutgoingHttpHeaders): http.ClientRequest {
    // A connection for each request: a container is waited for over one of them while others come and go.
    const options = { method, path, headers, agent: false as const };
    if ('socketPath' in this.#address) return http.request({ ...options, ...this.#address });
    const { tls, ...address } = this.#address;
    return tls ? https.request({ ...options, ...address, ...tls }) : http.request({ ...options, ...address });
  }
}

async function readText(response: http.IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

function messageOf(text: string): string {
  try {
    return String((JSON.parse(text) as { message?: unknown }).message ?? text);
  } catch {
    return text.trim();
  }
}

// Requests to an API server (https://kubernetes.io/docs/reference/using-api/api-concepts/): objects in, objects out, and lines of
// watches and logs as they come. An API server that is gone for a minute is waited for.
import { setMaxListeners } from 'node:events';
import { type AgentOptions, type ClientRequest, Agent as HttpAgent, type IncomingMessage } from 'node:http';
import { Agent, type RequestOptions, request as requestTls } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { cancelled, throwIfCancelled } from '../base/diagnostics/cancelled.ts';
import { ApiError, toApiError } from './api-error.ts';
import { ClusterError } from './cluster-error.ts';
import type { ClusterAccess } from './kubeconfig.ts';

/** A request. */
export interface ApiRequest {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** From the root of the server: `/apis/batch/v1/namespaces/builds/jobs`. */
  path: string;
  query?: Readonly<Record<string, string>>;
  body?: object;
  /** Of a body that is a patch. */
  contentType?: 'application/merge-patch+json';
}

export interface ApiClientOptions {
  signal: AbortSignal;
  /** Told once each time that the server begins not to answer. */
  onOutage?: (message: string) => void;
  /** Told what the server warns of (RFC 7234, 5.5). */
  onWarning?: (message: string) => void;
}

/** How long an API server may be away, in milliseconds. */
const PATIENCE = 300_000;
/** How long one that has never answered is tried. */
const FIRST_PATIENCE = 10_000;
/** Without an answer for so long a request has failed; lines of a watch may take any time. */
const ANSWER_TIMEOUT = 60_000;
const [FIRST_PAUSE, LONGEST_PAUSE] = [500, 10_000];
/** Hundreds of requests at once would be as many handshakes. */
const CONNECTIONS = 16;

/** One API server, asked by one user. */
export class ApiClient {
  readonly #access: ClusterAccess;
  readonly #options: ApiClientOptions;
  /** Of requests that are answered at once: hundreds of Jobs share a few connections. */
  readonly #agents = agents({ keepAlive: true, maxSockets: CONNECTIONS });
  /** Of watches and logs, each of which has one for itself. */
  readonly #streams = agents({ keepAlive: false });
  #hasAnswered = false;
  #requests = 0;

  constructor(access: ClusterAccess, options: ApiClientOptions) {
    this.#access = access;
    this.#options = options;
    // As many requests listen to it as there are Jobs.
    setMaxListeners(0, options.signal);
  }

  /** How many requests were made so far. */
  get requests(): number {
    return this.#requests;
  }

  /**
   * @returns the object that the server answers with
   * @throws ApiError when it refuses; ClusterError CLUSTER_UNREACHABLE, CancelledError
   */
  async request<Result>(request: ApiRequest, signal = this.#options.signal): Promise<Result> {
    const text = await this.#patiently(request, signal, async (response) => {
      const parts: Buffer[] = [];
      for await (const part of response) parts.push(part as Buffer);
      return Buffer.concat(parts).toString('utf8');
    });
    return JSON.parse(text) as Result;
  }

  /**
   * The lines that a watch or a log consists of, until the server ends it.
   * @throws ApiError when the server refuses; the error of the connection when that breaks; CancelledError
   */
  async *lines(request: Omit<ApiRequest, 'method'>, signal: AbortSignal): AsyncGenerator<string> {
    const response = await this.#patiently(
      { ...request, method: 'GET' },
      signal,
      async (it) => it,
      this.#streams,
    );
    const stop = () => response.destroy(cancelled(signal));
    signal.addEventListener('abort', stop, { once: true });
    response.socket.setKeepAlive(true, 30_000);
    try {
      yield* splitLines(response);
      throwIfCancelled(signal);
    } finally {
      signal.removeEventListener('abort', stop);
      response.destroy();
    }
  }

  /** Ends the connections that nobody uses. */
  close(): void {
    for (const { http, https } of [this.#agents, this.#streams]) {
      http.destroy();
      https.destroy();
    }
  }

  /** Sends a request until the server has answered it. */
  async #patiently<Result>(
    request: ApiRequest,
    signal: AbortSignal,
    read: (response: IncomingMessage) => Promise<Result>,
    connections = this.#agents,
  ): Promise<Result> {
    const began = performance.now();
    for (let pause = FIRST_PAUSE; ; pause = Math.min(pause * 2, LONGEST_PAUSE)) {
      throwIfCancelled(signal);
      try {
        const response = await this.#send(request, signal, connections);
        const { statusCode = 0 } = response;
        if (statusCode < 300) {
          const result = await read(response);
          this.#hasAnswered = true;
          return result;
        }
        throw await toApiError(response, request, this.#access.server);
      } catch (error) {
        throwIfCancelled(signal);
        if (error instanceof ClusterError || (error instanceof ApiError && !error.isTemporary)) throw error;
        const patience = this.#hasAnswered ? PATIENCE : FIRST_PATIENCE;
        if (performance.now() - began + pause > patience) throw unreachable(this.#access.server, error);
        if (pause === FIRST_PAUSE * 2)
          this.#options.onOutage?.(
            `the API server does not answer (${(error as Error).message}); waiting for it`,
          );
        await delay(pause, undefined, { signal }).catch(() => {});
      }
    }
  }

  async #send(
    { method, path, query, body, contentType }: ApiRequest,
    signal: AbortSignal,
    connections: Agents,
  ): Promise<IncomingMessage> {
    const url = new URL(this.#access.server.replace(/\/$/, '') + path);
    for (const [name, value] of Object.entries(query ?? {})) url.searchParams.set(name, value);
    const access = await this.#access.authenticate();
    const content = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const options: RequestOptions = {
      ...access,
      method,
      headers: {
        ...access.headers,
        accept: 'application/json',
        'user-agent': 'image-builder',
        ...(content && {
          'content-type': contentType ?? 'application/json',
          'content-length': content.length,
        }),
      },
      agent: access.agent ?? (url.protocol === 'http:' ? connections.http : connections.https),
    };
    const send = url.protocol === 'http:' ? (await import('node:http')).request : requestTls;
    this.#requests += 1;
    const response = await answerTo(send(url, options), content, signal);
    const warning = response.headers.warning;
    if (warning) for (const text of warningsIn(warning)) this.#options.onWarning?.(text);
    return response;
  }
}

/** By how a server is reached. */
interface Agents {
  http: HttpAgent;
  https: Agent;
}

function agents(options: AgentOptions): Agents {
  return { http: new HttpAgent(options), https: new Agent(options) };
}

/** Sends the content; the answer's head is waited for. */
function answerTo(
  request: ClientRequest,
  content: Buffer | undefined,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const stop = () => request.destroy(cancelled(signal));
    const timer = setTimeout(
      () => request.destroy(new Error(`no answer within ${ANSWER_TIMEOUT / 1000} s`)),
      ANSWER_TIMEOUT,
    );
    const settle = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
    };
    signal.addEventListener('abort', stop, { once: true });
    request.once('response', (response) => {
      settle();
      resolve(response);
    });
    request.on('error', (error) => {
      settle();
      reject(error);
    });
    request.end(content);
  });
}

async function* splitLines(stream: AsyncIterable<unknown>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk as Buffer, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
  if (rest !== '') yield rest;
}

/** The texts of a header `Warning: 299 - "text"`. */
function warningsIn(header: string): string[] {
  return [...header.matchAll(/299 \S+ "((?:[^"\\]|\\.)*)"/g)].map(([, text = '']) =>
    text.replace(/\\(.)/g, '$1'),
  );
}

function unreachable(server: string, cause: unknown): ClusterError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new ClusterError('CLUSTER_UNREACHABLE', `the API server ${server} does not answer: ${why}`, {
    cause,
  });
}

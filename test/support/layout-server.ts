// Serves OCI layouts as a registry does, in this process, so that tests can break any answer.

import { existsSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { sha256 } from './images.ts';

export type Step = 'manifest' | 'blob' | 'other';

export interface ServedRequest {
  method: string;
  path: string;
  headers: IncomingMessage['headers'];
  step: Step;
}

export interface LayoutServer {
  host: string;
  requests: ServedRequest[];
  stop(): Promise<void>;
}

export interface LayoutServerOptions {
  /** Layout directory of each repository. */
  repositories: Record<string, string>;
  /** Answers in place of the registry; returns false to let it answer. `count` counts calls for the same step. */
  intercept?: (request: ServedRequest, response: ServerResponse, answer: Answer, count: number) => boolean;
  ignoreRanges?: boolean;
  tls?: { key: Buffer; cert: Buffer };
}

/** What the registry would answer. */
export interface Answer {
  status: number;
  headers: Record<string, string>;
  body: Buffer;
}

export async function serveLayouts(options: LayoutServerOptions): Promise<LayoutServer> {
  const requests: ServedRequest[] = [];
  const counts = new Map<string, number>();
  const listener: RequestListener = (request, response) => {
    const path = (request.url ?? '').split('?')[0] ?? '';
    const step: Step = /\/manifests\//.test(path) ? 'manifest' : /\/blobs\//.test(path) ? 'blob' : 'other';
    const served = { method: request.method ?? '', path, headers: request.headers, step };
    requests.push(served);
    counts.set(step, (counts.get(step) ?? 0) + 1);
    const answer = answerFor(options, served);
    if (options.intercept?.(served, response, answer, counts.get(step) ?? 0)) return;
    send(response, served, answer);
  };
  const server = options.tls ? createTlsServer(options.tls, listener) : createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

/** Sends an answer as it is. */
export function send(response: ServerResponse, request: Pick<ServedRequest, 'method'>, answer: Answer): void {
  const length = answer.headers['content-length'] ?? String(answer.body.length);
  response.writeHead(answer.status, { ...answer.headers, 'content-length': length });
  response.end(request.method === 'HEAD' ? undefined : answer.body);
}

function answerFor(options: LayoutServerOptions, { path, headers }: ServedRequest): Answer {
  const match = /^\/v2\/(.+)\/(manifests|blobs)\/(.+)$/.exec(path);
  const directory = match?.[1] && options.repositories[match[1]];
  const name = match?.[3] ?? '';
  if (!directory) return notFound;
  const digest = match[2] === 'manifests' ? manifestDigest(directory, name) : name;
  const file = join(directory, 'blobs', (digest ?? '').replace(':', '/'));
  if (!digest || !existsSync(file)) return notFound;
  const body = readFileSync(file);
  if (match[2] === 'manifests') {
    const { mediaType } = JSON.parse(body.toString()) as { mediaType: string };
    return {
      status: 200,
      headers: { 'content-type': mediaType, 'docker-content-digest': sha256(body) },
      body,
    };
  }
  const range = options.ignoreRanges ? null : /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '');
  if (!range) return { status: 200, headers: { 'content-type': 'application/octet-stream' }, body };
  const start = Number(range[1]);
  const end = range[2] ? Math.min(Number(range[2]) + 1, body.length) : body.length;
  const contentRange = `bytes ${start}-${end - 1}/${body.length}`;
  return { status: 206, headers: { 'content-range': contentRange }, body: body.subarray(start, end) };
}

function manifestDigest(directory: string, name: string): string | undefined {
  if (name.startsWith('sha256:')) return name;
  const index = JSON.parse(readFileSync(join(directory, 'index.json'), 'utf8')) as {
    manifests: { digest: string; annotations?: Record<string, string> }[];
  };
  return index.manifests.find(
    ({ annotations }) => annotations?.['org.opencontainers.image.ref.name'] === name,
  )?.digest;
}

const notFound: Answer = {
  status: 404,
  headers: { 'content-type': 'application/json' },
  body: Buffer.from('{"errors":[{"code":"NAME_UNKNOWN","message":"not known to registry"}]}'),
};

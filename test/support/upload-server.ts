// The pushing side of a registry (OCI distribution-spec v1.1, "Push"), strict about chunks, with faults on request.

import { createHash, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request as the server has understood it. */
export interface PushRequest {
  method: string;
  /** `begin`, `mount`, `chunk`, `finish`, `status`, `cancel`, `blob`, `manifest`. */
  step: string;
  headers: IncomingMessage['headers'];
  url: URL;
}

export interface UploadServer {
  host: string;
  blobs: Map<string, Buffer>;
  manifests: Map<string, Buffer>;
  /** Steps in the order of their requests. */
  steps: string[];
  stop(): Promise<void>;
}

export interface UploadServerOptions {
  /**
   * Sees every request before it is answered; true: it has answered. `count`: how many of this step there were, from 1.
   */
  intercept?: (request: PushRequest, response: ServerResponse, count: number) => boolean;
  /** Breaks the connection once, after this many bytes of uploads have arrived; they are kept. */
  cutAfter?: number;
  /** Forgets an upload whose connection broke, as docker-registry does. */
  forgetful?: boolean;
  /** Blobs of other repositories that may be mounted, by digest. */
  elsewhere?: Map<string, Buffer>;
}

const sha256 = (content: Buffer) => `sha256:${createHash('sha256').update(content).digest('hex')}`;

/** Serves the repository `site/bundle`. */
export async function serveUploads(options: UploadServerOptions = {}): Promise<UploadServer> {
  const blobs = new Map<string, Buffer>();
  const manifests = new Map<string, Buffer>();
  const uploads = new Map<string, { parts: Buffer[]; size: number }>();
  const steps: string[] = [];
  let arrived = 0;
  let isCut = false;

  /** Appends the body to an upload as it comes; false when the connection was cut. */
  async function take(id: string, request: IncomingMessage): Promise<boolean> {
    try {
      for await (const part of request as AsyncIterable<Buffer>) {
        const upload = uploads.get(id);
        upload?.parts.push(part);
        if (upload) upload.size += part.length;
        arrived += part.length;
        if (options.cutAfter === undefined || isCut || arrived < options.cutAfter) continue;
        isCut = true;
        if (options.forgetful) uploads.delete(id);
        request.socket.resetAndDestroy();
        return false;
      }
      return true;
    } catch {
      return false;
    }
  }

  function stepOf(method: string, url: URL): string {
    if (url.pathname.includes('/manifests/')) return 'manifest';
    if (!url.pathname.includes('/uploads/')) return 'blob';
    if (method === 'POST') return url.searchParams.has('mount') ? 'mount' : 'begin';
    return { PATCH: 'chunk', PUT: 'finish', GET: 'status', DELETE: 'cancel' }[method] ?? method;
  }

  const location = (id: string) => ({
    location: `/v2/site/bundle/blobs/uploads/${id}?state=${randomUUID()}`,
  });

  function begin(response: ServerResponse): void {
    const id = randomUUID();
    uploads.set(id, { parts: [], size: 0 });
    response.writeHead(202, location(id)).end();
  }

  function mount(digest: string): boolean {
    const content = options.elsewhere?.get(digest);
    if (content) blobs.set(digest, content);
    return content !== undefined;
  }

  async function answer(step: string, url: URL, request: IncomingMessage, response: ServerResponse) {
    const name = url.pathname.split('/').at(-1) ?? '';
    const upload = uploads.get(name);
    switch (step) {
      case 'blob':
        return response.writeHead(blobs.has(name) ? 200 : 404).end();
      case 'manifest': {
        const content = manifests.get(name);
        if (request.method === 'HEAD') {
          return response
            .writeHead(content ? 200 : 404, content && { 'docker-content-digest': sha256(content) })
            .end();
        }
        const parts: Buffer[] = [];
        for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
        manifests.set(name, Buffer.concat(parts));
        return response.writeHead(201).end();
      }
      case 'mount':
        return mount(url.searchParams.get('mount') ?? '') ? response.writeHead(201).end() : begin(response);
      case 'begin':
        return begin(response);
      case 'cancel':
        return response.writeHead(uploads.delete(name) ? 204 : 404).end();
    }
    if (!upload) return response.writeHead(404).end('{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}');
    const range = () => ({ range: `0-${Math.max(0, (uploads.get(name)?.size ?? 0) - 1)}` });
    if (step === 'status') return response.writeHead(204, { ...location(name), ...range() }).end();
    const start = /^(\d+)-/.exec(String(request.headers['content-range'] ?? ''))?.[1];
    if (start !== undefined && Number(start) !== upload.size) {
      request.resume();
      return response.writeHead(416, range()).end();
    }
    if (!(await take(name, request))) return;
    if (step === 'chunk') return response.writeHead(202, { ...location(name), ...range() }).end();
    const digest = url.searchParams.get('digest') ?? '';
    const content = Buffer.concat(upload.parts);
    if (sha256(content) !== digest)
      return response.writeHead(400).end('{"errors":[{"code":"DIGEST_INVALID"}]}');
    blobs.set(digest, content);
    uploads.delete(name);
    return response.writeHead(201, { 'docker-content-digest': digest }).end();
  }

  const handle = (request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? '/', 'http://registry');
    const method = request.method ?? '';
    const step = stepOf(method, url);
    steps.push(step);
    const count = steps.filter((one) => one === step).length;
    if (options.intercept?.({ method, step, headers: request.headers, url }, response, count)) return;
    // The body is wanted now, not before.
    if (request.headers.expect) response.writeContinue();
    void answer(step, url, request, response);
  };
  const server = createServer(handle);
  server.on('checkContinue', handle);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    blobs,
    manifests,
    steps,
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

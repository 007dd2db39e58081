// A forward proxy for tests: CONNECT and plain requests, with Basic authentication, remembering what it was asked.

import { createServer, type IncomingMessage, request as send } from 'node:http';
import { type AddressInfo, connect } from 'node:net';

export interface TestProxy {
  host: string;
  /** Authorities that were asked for by CONNECT. */
  connects: string[];
  /** URLs that were asked for in the clear. */
  plain: string[];
  /** Headers of the requests in the clear that were passed on, as they came in. */
  forwarded: IncomingMessage['headers'][];
  stop(): Promise<void>;
}

/** @param options.rewrite where an authority really is */
export async function startProxy(options: {
  username?: string;
  password?: string;
  rewrite: Record<string, string>;
}): Promise<TestProxy> {
  const expected =
    options.username === undefined
      ? undefined
      : `Basic ${Buffer.from(`${options.username}:${options.password}`).toString('base64')}`;
  const allowed = (request: IncomingMessage) =>
    expected === undefined || request.headers['proxy-authorization'] === expected;
  const [connects, plain]: [string[], string[]] = [[], []];
  const forwarded: IncomingMessage['headers'][] = [];
  const sockets = new Set<{ destroy(): void }>();
  const server = createServer((request, response) => {
    plain.push(request.url ?? '');
    const url = new URL(request.url ?? '', 'http://nowhere.invalid');
    const target = options.rewrite[url.host];
    if (!allowed(request) || target === undefined) {
      response.writeHead(allowed(request) ? 502 : 407).end();
      return;
    }
    // Hop-by-hop headers end here (RFC 9110, 7.6.1).
    const { 'proxy-authorization': _, 'proxy-connection': __, connection: ___, ...headers } = request.headers;
    forwarded.push(request.headers);
    const [host, port] = target.split(':');
    const path = `${url.pathname}${url.search}`;
    const upstream = send({ host, port, path, method: request.method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    upstream.on('error', () => response.destroy());
    request.pipe(upstream);
  });
  server.on('connect', (request, socket) => {
    connects.push(request.url ?? '');
    sockets.add(socket);
    socket.on('error', () => {});
    const target = options.rewrite[request.url ?? ''];
    if (!allowed(request) || target === undefined) {
      socket.end(
        `HTTP/1.1 ${allowed(request) ? '502 Bad Gateway' : '407 Proxy Authentication Required'}\r\n\r\n`,
      );
      return;
    }
    const [host = '', port = ''] = target.split(':');
    const upstream = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      upstream.pipe(socket);
      socket.pipe(upstream);
    });
    sockets.add(upstream);
    upstream.on('error', () => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    connects,
    plain,
    forwarded,
    stop: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

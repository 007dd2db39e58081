// Whether a host speaks TLS, asked of servers of every kind.
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { speaksTls } from '../../../image-builder/runtime/node/tls-probe.ts';

const opened: Server[] = [];
afterEach(() => {
  for (const server of opened.splice(0)) server.close();
});

async function listening(server: Server): Promise<number> {
  opened.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

async function ask(server: Server, timeout = 2000): Promise<boolean> {
  return speaksTls('127.0.0.1', await listening(server), timeout);
}

it.each(['TLSv1.2', 'TLSv1.3'] as const)(
  'a server of %s speaks TLS, whatever it thinks of the handshake',
  async (version) => {
    expect(await ask(createTlsServer({ minVersion: version, maxVersion: version }))).toBe(true);
  },
);

it('a server of HTTP does not', async () => {
  expect(await ask(createHttpServer())).toBe(false);
});

it('one that waits for the end of a line, or of a header, answers', async () => {
  const patient = (end: string) =>
    createServer((socket: Socket) => {
      let received = '';
      socket.on('data', (chunk) => {
        received += chunk.toString('latin1');
        if (received.includes(end)) socket.end('HTTP/1.0 400 Bad Request\r\n\r\n');
      });
      socket.on('error', () => {});
    });
  expect(await ask(patient('\n'))).toBe(false);
  expect(await ask(patient('\r\n\r\n'))).toBe(false);
});

it('is told nothing but a ClientHello', async () => {
  const received: Buffer[] = [];
  const server = createServer((socket: Socket) => {
    socket.on('data', (chunk) => {
      received.push(chunk);
      socket.end('?');
    });
    socket.on('error', () => {});
  });
  expect(await ask(server)).toBe(false);
  const hello = Buffer.concat(received);
  // The record and the message in it say how long they are.
  expect([...hello.subarray(0, 3)]).toEqual([0x16, 3, 1]);
  expect(hello.readUInt16BE(3)).toBe(hello.length - 5);
  expect(hello.readUIntBE(6, 3)).toBe(hello.length - 9);
});

it('what fails otherwise is left to the request', async () => {
  expect(await ask(createServer((socket) => socket.end()))).toBe(true);
  expect(await ask(createServer((socket) => socket.resetAndDestroy()))).toBe(true);
  const silent: Socket[] = [];
  expect(
    await ask(
      createServer((socket) => silent.push(socket)),
      50,
    ),
  ).toBe(true);
  for (const socket of silent) socket.destroy();
  const server = createServer();
  const port = await listening(server);
  await new Promise((resolve) => server.close(resolve));
  expect(await speaksTls('127.0.0.1', port, 2000)).toBe(true);
});

it('is not waited for when the caller gives up', async () => {
  const silent: Socket[] = [];
  const port = await listening(createServer((socket) => silent.push(socket)));
  const abort = new AbortController();
  const answer = speaksTls('127.0.0.1', port, 60_000, abort.signal);
  abort.abort();
  expect(await answer).toBe(true);
  for (const socket of silent) socket.destroy();
});

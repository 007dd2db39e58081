// Requests by node:http and the signal that can end them.
import { getEventListeners } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { httpTransport } from '../../../image-builder/runtime/node/http-transport.ts';

let server: Server;
let url: URL;
beforeAll(async () => {
  server = createServer((request, response) => {
    if (request.url === '/never') return;
    response.end('answer');
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const open = () => httpTransport({}, async () => ({}), { connectTimeout: 5000, idleTimeout: 5000 });

test('many at once are no leak, and leave nothing behind', async () => {
  const transport = open();
  const { signal } = new AbortController();
  const read = async () => {
    const { body } = await transport.exchange({ url, method: 'GET' }, { requests: 0, bytes: 0 }, signal);
    for await (const _ of body);
  };
  await Promise.all(Array.from({ length: 20 }, read));
  await new Promise(setImmediate);
  expect(getEventListeners(signal, 'abort')).toEqual([]);
  // Else Node warns on standard error of more than ten; its getMaxListeners() takes no signal before 22.
  const limit = Object.getOwnPropertySymbols(signal).find(({ description }) =>
    description?.endsWith('maxEventTargetListeners'),
  );
  expect(Reflect.get(signal, limit ?? '')).toBe(0);
  transport.close();
});

test('a signal ends a request that is waiting, and one that has not begun', async () => {
  const transport = open();
  const controller = new AbortController();
  const never = { url: new URL('/never', url), method: 'GET' } as const;
  const waiting = transport.exchange(never, { requests: 0, bytes: 0 }, controller.signal);
  setTimeout(() => controller.abort(), 50);
  await expect(waiting).rejects.toMatchObject({ code: 'CANCELLED' });
  const late = transport.exchange(never, { requests: 0, bytes: 0 }, controller.signal);
  await expect(late).rejects.toMatchObject({ code: 'CANCELLED' });
  transport.close();
});

import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serveKubelet } from '../../../../../image-builder/stages/boot-test/join/kubelet-proxy.ts';

const directory = mkdtempSync(join(tmpdir(), 'kubelet-proxy-'));
const socket = join(directory, 'socket');
let kubelet: Server;
let proxy: Server;

beforeAll(async () => {
  // Says twice what it hears.
  kubelet = createServer((client) => client.on('data', (data) => client.write(`${data}${data}`)));
  await new Promise<void>((done) => kubelet.listen(0, '127.0.0.1', done));
  proxy = await serveKubelet(socket, (kubelet.address() as AddressInfo).port);
});
afterAll(async () => {
  await Promise.all([kubelet, proxy].map((server) => new Promise((done) => server.close(done))));
  rmSync(directory, { recursive: true });
});

/** What comes back, until it says `end` or closes. */
const talk = (...said: string[]) =>
  new Promise<string>((done) => {
    let heard = '';
    const client = connect(socket, () => {
      for (const one of said) client.write(one);
    });
    client.setEncoding('utf8').on('data', (text: string) => {
      heard += text;
      if (heard.includes('end')) client.destroy();
    });
    client.on('error', () => {}).on('close', () => done(heard));
  });

test('the kubelet of the node is reached, also by what comes with the request', async () => {
  const answer = await talk('CONNECT 10.0.2.15:10250 HTTP/1.1\r\nHost: x\r\n', '\r\nend');
  expect(answer).toBe('HTTP/1.1 200 Connection established\r\n\r\nendend');
});

test.each([
  ['another port of the node', 'CONNECT 10.0.2.15:22 HTTP/1.1\r\n\r\n'],
  ['the building machine', 'CONNECT 127.0.0.1:10250 HTTP/1.1\r\n\r\n'],
  ['a name that begins like it', 'CONNECT 10.0.2.15:102500 HTTP/1.1\r\n\r\n'],
  ['what is no CONNECT', 'GET / HTTP/1.1\r\n\r\n'],
  ['headers without an end', 'x'.repeat(10_000)],
])('nothing else is: %s', async (_what, said) => {
  expect(await talk(said)).toBe('HTTP/1.1 403 Forbidden\r\n\r\n');
});

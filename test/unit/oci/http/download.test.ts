// A download comes from the host that was named, with the login that was named, and is bounded.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openTransport } from '#runtime';
import { findingsOf, formatFinding } from '../../../../image-builder/base/diagnostics/error.ts';
import { DEFAULT_LIMITS } from '../../../../image-builder/oci/http/client.ts';
import { download } from '../../../../image-builder/oci/http/download.ts';

const directory = mkdtempSync(join(tmpdir(), 'image-builder-download-'));
const requests: IncomingMessage[] = [];
let server: Server;
let host: string;

beforeAll(async () => {
  server = createServer((request, response) => {
    requests.push(request);
    if (request.url === '/moved') response.writeHead(302, { location: `http://localhost:1/other` }).end();
    else if (request.url === '/database') response.end('[1, 2, 3]');
    else if (request.url === '/endless') response.end(Buffer.alloc(100_000));
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.close();
  rmSync(directory, { recursive: true });
});

async function get(path: string): Promise<string> {
  const file = join(directory, 'file');
  const transport = await openTransport({}, async () => ({ ca: [], hostCa: [] }), DEFAULT_LIMITS);
  try {
    const signal = new AbortController().signal;
    await download(new URL(`http://user:se%20cret@${host}${path}`), file, {
      transport,
      limit: 50_000,
      signal,
    });
    return readFileSync(file, 'utf8');
  } finally {
    transport.close();
  }
}

test('brings the file, with the login of the address', async () => {
  expect(await get('/database')).toBe('[1, 2, 3]');
  const sent = requests.at(-1)?.headers.authorization ?? '';
  expect(Buffer.from(sent.replace('Basic ', ''), 'base64').toString()).toBe('user:se cret');
});

test.each([
  ['/moved', 'REDIRECT'],
  ['/endless', 'TOO_LARGE'],
  ['/absent', 'NOT_FOUND'],
])('%s is %s, and nothing tells the login', async (path, code) => {
  const error = await get(path).catch((caught: unknown) => caught);
  expect(error).toMatchObject({ code });
  expect(findingsOf(error).map(formatFinding).join('\n')).not.toMatch(/se.*cret|user/);
});

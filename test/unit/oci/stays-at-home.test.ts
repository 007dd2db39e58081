// Credentials and bodies go to the registry that they are for, wherever it, or whoever controls a part of it, leads.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { CredentialOptions } from '../../../image-builder/oci/credentials/credentials.ts';
import type { HttpRequest } from '../../../image-builder/oci/http/transport.ts';
import { openRepository, writingClient } from '../../../image-builder/oci/open.ts';
import { parseReference, type RegistryReference } from '../../../image-builder/oci/reference.ts';
import { startProxy } from '../../support/proxy.ts';

const LOGIN = { username: 'victim', password: 's3cret-pa55' };
const BASIC = Buffer.from(`${LOGIN.username}:${LOGIN.password}`).toString('base64');
const REFRESH = 'REFRESH-TOKEN-SECRET';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;
interface Server {
  host: string;
  /** Everything that came in: lines, headers and bodies. */
  seen: string[];
  answer: Answer;
  stop(): Promise<void>;
}

async function serve(address: string): Promise<Server> {
  const seen: string[] = [];
  const made: Server = { host: '', seen, answer: (_, response) => response.end('{}'), stop: async () => {} };
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    seen.push(`${request.method} ${request.url} ${JSON.stringify(request.headers)} ${Buffer.concat(parts)}`);
    made.answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  made.host = `${address}:${(server.address() as AddressInfo).port}`;
  made.stop = () =>
    new Promise((resolve) => {
      server.closeAllConnections();
      server.close(() => resolve());
    });
  return made;
}

let registry: Server;
let other: Server;
beforeEach(async () => {
  [registry, other] = [await serve('127.0.0.1'), await serve('127.0.0.2')];
});
afterEach(() => Promise.all([registry.stop(), other.stop()]));

async function ask(
  target: string | ((from: Server) => URL) = 'manifests/v1',
  request: Omit<HttpRequest, 'url'> = { method: 'GET' },
  credentials: CredentialOptions = { login: LOGIN },
) {
  const reference = parseReference(`${registry.host}/site/x:v1`) as RegistryReference;
  const { clients, http } = await openRepository(reference, 'pull', {
    credentials: { ...credentials, isolated: true },
    limits: { retries: 0 },
    environment: {},
  });
  const client = writingClient(clients);
  try {
    // The scheme is known after the first answer.
    if (typeof target !== 'string') {
      (await client.request('first', { method: 'GET' }, [200], 'it')).body.resume();
    }
    const where = typeof target === 'string' ? target : target(registry);
    const response = await client.request(where, request, [200], 'it');
    response.body.resume();
    return response;
  } finally {
    http.close();
  }
}
const refused = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error) => error,
  );
const secrets = new RegExp(`${BASIC}|${LOGIN.password}|${REFRESH}|t0ken`);
const to =
  (server: Server, status = 307): Answer =>
  (request, response) =>
    response.writeHead(status, { location: `http://${server.host}${request.url}` }).end();
const wants =
  (challenge: string): Answer =>
  (_, response) =>
    response.writeHead(401, { 'www-authenticate': challenge }).end();

describe('a 401 of where a redirect leads to is no question to the registry', () => {
  it.each([
    ['Basic', () => 'Basic realm="x"'],
    ['Bearer, whose realm is there', () => `Bearer realm="http://${other.host}/token",service="evil"`],
    ['both', () => `Basic realm="x", Bearer realm="http://${other.host}/token"`],
    [
      "Bearer, whose realm is the registry's",
      () => `Bearer realm="http://${registry.host}/token",service="r"`,
    ],
    ['odd case', () => `bAsIc ReAlM=x, BEARER REALM=http://${other.host}/token`],
  ])('%s', async (_, challenge) => {
    registry.answer = to(other);
    other.answer = wants(challenge());
    const error = await refused(ask());
    expect(error).toMatchObject({ code: 'UNAUTHORIZED', status: 401 });
    expect(error.message).toContain(`${other.host}, to which the registry redirects`);
    expect([...registry.seen, ...other.seen].join('\n')).not.toMatch(secrets);
  });

  it('not after the login either, and not when the way leads back', async () => {
    registry.answer = (request, response) => {
      if (request.url?.endsWith('/back')) return wants(`Basic realm="x"`)(request, response);
      if (!request.headers.authorization) return wants('Basic realm="x"')(request, response);
      to(other)(request, response);
    };
    other.answer = (_, response) =>
      response.writeHead(302, { location: `http://${registry.host}/v2/site/x/back` }).end();
    await expect(ask()).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
    expect(other.seen.join('\n')).not.toMatch(secrets);
    expect(registry.seen.filter((line) => line.includes('/back'))).toEqual([
      expect.not.stringMatching(secrets),
    ]);
  });

  it('nor one on another port', async () => {
    const port = await serve('127.0.0.1');
    registry.answer = to(port);
    port.answer = wants('Basic realm="x"');
    await expect(ask()).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
    expect(port.seen.join('\n')).not.toMatch(secrets);
    await port.stop();
  });

  it('a redirect within the registry is one', async () => {
    registry.answer = (request, response) => {
      if (!request.url?.includes('moved'))
        response.writeHead(307, { location: '/v2/moved/manifests/v1' }).end();
      else if (request.headers.authorization === `Basic ${BASIC}`) response.end('{}');
      else wants('Basic realm="x"')(request, response);
    };
    expect((await ask()).status).toBe(200);
  });
});

it('sends nothing of a login to upload locations elsewhere', async () => {
  registry.answer = (request, response) => {
    if (request.headers.authorization) response.end('{}');
    else wants('Basic realm="x"')(request, response);
  };
  other.answer = wants('Basic realm="x"');
  const location = () => new URL(`http://${other.host}/upload/1`);
  await expect(ask(location, { method: 'PATCH', body: Buffer.from('x') })).rejects.toMatchObject({
    code: 'UNAUTHORIZED',
  });
  // Not even on the same host under another scheme, where the password would go in the clear or to somebody else.
  const scheme = () => new URL(`https://${registry.host}/upload/1`);
  await refused(ask(scheme, { method: 'PATCH', body: Buffer.from('x') }));
  expect(other.seen.join('\n')).not.toMatch(secrets);
});

describe('token servers', () => {
  const withToken =
    (realm: string): Answer =>
    (request, response) => {
      if (request.headers.authorization === 'Bearer t0ken') response.end('{}');
      else wants(`Bearer realm="${realm}",service="r"`)(request, response);
    };

  it('may be another host that the registry itself names', async () => {
    registry.answer = withToken(`http://${other.host}/token`);
    other.answer = (_, response) => response.end('{"token":"t0ken"}');
    expect((await ask()).status).toBe(200);
    expect(other.seen).toEqual([expect.stringContaining(BASIC)]);
  });

  it.each([301, 302, 303, 307, 308])('do not pass a refresh token on (%i)', async (status) => {
    registry.answer = (request, response) => {
      if (request.url === '/token') to(other, status)(request, response);
      else withToken(`http://${registry.host}/token`)(request, response);
    };
    other.answer = (_, response) => response.end('{"token":"t0ken"}');
    const json = JSON.stringify({ auths: { [registry.host]: { identitytoken: REFRESH } } });
    await refused(ask('manifests/v1', { method: 'GET' }, { pullSecrets: [{ json, origin: 'test' }] }));
    expect(registry.seen.join('\n')).toContain(REFRESH);
    expect(other.seen.join('\n')).not.toContain(REFRESH);
  });

  it('do not pass a password on', async () => {
    registry.answer = (request, response) => {
      if (request.url?.startsWith('/token')) to(other)(request, response);
      else withToken(`http://${registry.host}/token`)(request, response);
    };
    other.answer = (_, response) => response.end('{"token":"t0ken"}');
    await ask();
    expect(other.seen).toEqual([expect.not.stringMatching(secrets)]);
  });

  it.each(['http://registry.example.org/token', 'ftp://127.0.0.1/token', 'file:///etc/passwd', 'nonsense'])(
    'that get a password in the clear over the network, or are none, are refused: %s',
    async (realm) => {
      registry.answer = withToken(realm);
      await expect(ask()).rejects.toMatchObject({ code: 'SERVER' });
    },
  );
});

describe('what is sent', () => {
  it.each([
    [303, 'PUT', 'GET'],
    [302, 'POST', 'GET'],
    [301, 'POST', 'GET'],
    [307, 'POST', 'POST'],
    [308, 'PUT', 'PUT'],
    [303, 'HEAD', 'HEAD'],
  ] as const)('after %i a %s is a %s', async (status, method, then) => {
    registry.answer = (request, response) => {
      if (request.url?.includes('there')) response.end('{}');
      else response.writeHead(status, { location: '/there' }).end();
    };
    const headers = { 'content-type': 'text/plain' };
    await ask('manifests/v1', {
      method,
      headers,
      ...(method !== 'HEAD' && { body: Buffer.from('the body') }),
    });
    const [, last = ''] = registry.seen;
    expect(last.startsWith(`${then} /there`)).toBe(true);
    expect(last.includes('the body')).toBe(then === method && method !== 'HEAD');
    expect(last.includes('text/plain')).toBe(then === method);
  });

  it.each([307, 308])('goes to no other origin by %i, but for the octets of blobs', async (status) => {
    registry.answer = to(other, status);
    const octets = {
      length: 6,
      open: async function* () {
        yield Buffer.from('octets');
      },
    };
    await expect(ask('manifests/v1', { method: 'PUT', body: Buffer.from('manifest') })).rejects.toMatchObject(
      {
        code: 'REDIRECT',
      },
    );
    expect(other.seen).toEqual([]);
    await ask('blobs/uploads/1', { method: 'PUT', body: octets });
    expect(other.seen).toEqual([expect.stringContaining('octets')]);
  });
});

it.each([
  'http://127.0.0.1:1/x',
  'http://localhost:1/x',
  'http://2130706433:1/x',
  'http://[::1]:1/x',
  'http://[::ffff:127.0.0.1]:1/x',
  'http://[::ffff:169.254.169.254]/x',
  'http://169.254.169.254/latest/meta-data/',
  'http://[fe80::1]/x',
  'http://0.0.0.0:1/x',
])('a registry elsewhere does not lead to this machine or its link: %s', async (location) => {
  registry.answer = (_, response) => response.writeHead(307, { location }).end();
  // What asks for TLS there gets an answer as from a host that does not speak it.
  const rewrite = { 'registry.example.org': registry.host, 'registry.example.org:443': registry.host };
  const proxy = await startProxy({ rewrite });
  const reference = parseReference('registry.example.org/site/x:v1') as RegistryReference;
  const { clients, http } = await openRepository(reference, 'pull', {
    insecure: true,
    limits: { retries: 0 },
    environment: { ALL_PROXY: `http://${proxy.host}` },
  });
  try {
    const client = writingClient(clients);
    await expect(client.request('manifests/v1', { method: 'GET' }, [200], 'it')).rejects.toMatchObject({
      code: 'REDIRECT',
    });
  } finally {
    http.close();
    await proxy.stop();
  }
});

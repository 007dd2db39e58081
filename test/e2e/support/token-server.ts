// A token server for docker-registry ("Token Authentication Specification"): signs JWTs with a certificate that the
// registry trusts; knows one user, refresh tokens, and remembers what it was asked.

import { execFileSync } from 'node:child_process';
import { createPrivateKey, createSign, randomUUID, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import { join } from 'node:path';

export interface TokenServer {
  url: string;
  /** Path of the certificate that the registry trusts. */
  certificate: string;
  /** A refresh token that is taken instead of the password. */
  refreshToken: string;
  /** Every request, in order. */
  requests: { method: string; scopes: string[]; authorized: boolean }[];
  stop(): Promise<void>;
}

export async function startTokenServer(
  directory: string,
  user: { username: string; password: string; anonymousPull?: boolean },
): Promise<TokenServer> {
  const [keyFile, certificate] = [join(directory, 'token.key'), join(directory, 'token.crt')];
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      keyFile,
      '-out',
      certificate,
      '-subj',
      '/CN=tokens',
      '-days',
      '2',
    ],
    { stdio: 'ignore' },
  );
  const key = createPrivateKey(readFileSync(keyFile));
  const chain = [new X509Certificate(readFileSync(certificate)).raw.toString('base64')];
  const refreshToken = randomUUID();
  const requests: TokenServer['requests'] = [];

  const sign = (subject: string, access: object[]): string => {
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: 'test-issuer',
      sub: subject,
      aud: 'test-registry',
      exp: now + 300,
      nbf: now - 10,
      iat: now,
      jti: randomUUID(),
      access,
    };
    const input = `${encode({ typ: 'JWT', alg: 'RS256', x5c: chain })}.${encode(claims)}`;
    return `${input}.${createSign('RSA-SHA256').update(input).sign(key).toString('base64url')}`;
  };

  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '/', 'http://tokens');
    const form = request.method === 'POST' ? new URLSearchParams(await bodyOf(request)) : url.searchParams;
    const scopes = form.getAll('scope').flatMap((scope) => scope.split(' '));
    const expected = `Basic ${Buffer.from(`${user.username}:${user.password}`).toString('base64')}`;
    const authorized =
      request.method === 'POST'
        ? form.get('refresh_token') === refreshToken
        : request.headers.authorization === expected;
    requests.push({ method: request.method ?? '', scopes, authorized });
    if (!authorized && (!user.anonymousPull || request.headers.authorization)) {
      response
        .writeHead(401, { 'content-type': 'application/json' })
        .end('{"details":"wrong user or password"}');
      return;
    }
    const access = scopes.map((scope) => {
      const [type = '', ...rest] = scope.split(':');
      const actions = rest.pop()?.split(',') ?? [];
      return {
        type,
        name: rest.join(':'),
        actions: authorized ? actions : actions.filter((action) => action === 'pull'),
      };
    });
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify({
        access_token: sign(user.username, access),
        token: sign(user.username, access),
        expires_in: 300,
      }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}/token`,
    certificate,
    refreshToken,
    requests,
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of request) body += chunk;
  return body;
}

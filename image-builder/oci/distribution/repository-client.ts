// A client of one repository on one registry host (OCI distribution-spec v1.1): authentication, the choice of the scheme,
// and the registry's error answers. Reading is in sources/registry.ts; whatever writes uses `request` as well.

import type { CredentialSource } from '../credentials/credentials.ts';
import type { HttpClient } from '../http/client.ts';
import { speaksPlainHttp } from '../http/network-error.ts';
import { checkTarget } from '../http/redirect.ts';
import { RegistryError, type RegistryErrorCode } from '../http/registry-error.ts';
import type { HttpRequest, HttpResponse } from '../http/transport.ts';
import { Authenticator } from './auth.ts';
import { type Endpoint, plainHttp } from './endpoint.ts';

const ERROR_BODY_LIMIT_BYTES = 64 * 1024;
const MESSAGE_LIMIT = 300;

/** What is done with the repository; decides the scope of tokens. */
export type Action = 'pull' | 'push,pull';

/** Requests to one repository. */
export class DistributionClient {
  readonly endpoint: Endpoint;
  readonly #client: HttpClient;
  readonly #auth: Authenticator;
  #scheme: 'https' | 'http' | undefined;

  constructor(
    endpoint: Endpoint,
    client: HttpClient,
    credentials: CredentialSource,
    action: Action = 'pull',
  ) {
    this.endpoint = endpoint;
    this.#client = client;
    const { credentialHost, repository } = endpoint;
    const find = async () =>
      credentialHost === undefined ? undefined : await credentials.find(credentialHost, repository);
    this.#auth = new Authenticator(client, find, `repository:${endpoint.repository}:${action}`);
  }

  /**
   * Sends a request, logging in when the registry asks for it. The answer's status is one of `accept`.
   * @param target a path below `/v2/<repository>/`, or a URL that the registry has given; the credentials stay with
   * the registry's own host
   * @throws RegistryError NOT_FOUND, UNAUTHORIZED, DENIED, RATE_LIMITED, SERVER and those of {@link HttpClient.send}
   */
  async request(
    target: string | URL,
    request: Omit<HttpRequest, 'url'>,
    accept: number[],
    what: string,
  ): Promise<HttpResponse> {
    let response = await this.#send(target, request);
    if (response.status === 401 && this.#mayAsk(target, response)) {
      response.body.resume();
      await this.#auth.challenged(response);
      response = await this.#send(target, request);
      if (response.status === 401 && this.#mayAsk(target, response)) {
        response.body.resume();
        throw this.#auth.refused(this.endpoint.host);
      }
    }
    if (accept.includes(response.status)) return response;
    throw await answerError(this.#client, response, what);
  }

  /**
   * The same for a small answer with its whole body; a body that breaks off is asked for again.
   * @param limit refused above this size, in bytes
   */
  async fetch(
    path: string,
    request: Omit<HttpRequest, 'url'>,
    accept: number[],
    what: string,
    limit: (response: HttpResponse) => number,
  ): Promise<{ response: HttpResponse; content: Buffer }> {
    return this.#client.whole(() => this.request(path, request, accept, what), limit);
  }

  /** Waits before the next attempt of something that the caller repeats itself. @returns whether there may be another */
  async pause(attempt: number): Promise<boolean> {
    if (attempt >= this.#client.retries) return false;
    await this.#client.pause(attempt);
    return true;
  }

  #send(target: string | URL, request: Omit<HttpRequest, 'url'>): Promise<HttpResponse> {
    if (target instanceof URL && !this.#isOurs(target)) {
      checkTarget(target, new URL(`https://${this.endpoint.host}`));
      return this.#client.send({ ...request, url: target });
    }
    const headers = { ...request.headers, ...this.#auth.headers };
    if (target instanceof URL) return this.#client.send({ ...request, url: target, headers });
    const path = target;
    return this.#onScheme((scheme) => {
      const url = new URL(`${scheme}://${this.endpoint.host}/v2/${this.endpoint.repository}/${path}`);
      return this.#client.send({ ...request, url, headers });
    });
  }

  /** Only the registry itself asks for its credentials: not where it sends uploads to, not where redirects lead. */
  #mayAsk(target: string | URL, response: HttpResponse): boolean {
    return !response.abroad && (!(target instanceof URL) || this.#isOurs(target));
  }

  #isOurs(url: URL): boolean {
    return url.origin === new URL(`${this.#scheme ?? 'https'}://${this.endpoint.host}`).origin;
  }

  /** Finds out once whether the host speaks TLS, where plain HTTP is allowed at all. */
  async #onScheme(send: (scheme: 'https' | 'http') => Promise<HttpResponse>): Promise<HttpResponse> {
    if (this.#scheme) return send(this.#scheme);
    const policy = plainHttp(this.endpoint);
    if (policy === 'on loopback') this.#scheme = await this.#probe();
    try {
      const response = await send(this.#scheme ?? 'https');
      this.#scheme ??= 'https';
      return response;
    } catch (error) {
      const cause = error instanceof RegistryError && error.code === 'TLS' ? error.cause : undefined;
      if (policy !== 'as asked for' || !speaksPlainHttp(cause)) throw error;
      const response = await send('http');
      this.#scheme = 'http';
      return response;
    }
  }

  /** Asked by a ClientHello alone, before TLS is set up: failing in a real handshake takes longer than an exchange. */
  async #probe(): Promise<'https' | 'http'> {
    return (await this.#client.speaksTls(new URL(`https://${this.endpoint.host}`))) ? 'https' : 'http';
  }
}

const STATUS_CODES: Record<number, RegistryErrorCode> = {
  401: 'UNAUTHORIZED',
  403: 'DENIED',
  404: 'NOT_FOUND',
  429: 'RATE_LIMITED',
};
const HINTS: Partial<Record<RegistryErrorCode, string>> = {
  DENIED: 'The credentials are valid but may not read this repository.',
  NOT_FOUND: 'Check the repository and the tag; a private repository without credentials looks the same.',
  RATE_LIMITED: 'Log in to raise the limit, or use a mirror (registries.conf).',
};

/** The registry's own diagnostics, limited and on one line. */
async function answerError(client: HttpClient, response: HttpResponse, what: string): Promise<RegistryError> {
  const body = await client.read(response, ERROR_BODY_LIMIT_BYTES).catch(() => Buffer.alloc(0));
  if (response.status === 407) {
    return new RegistryError('UNAUTHORIZED', `the proxy to ${response.url.host} requires authentication`, {
      status: 407,
      hint: 'Check HTTP_PROXY (with user and password) and NO_PROXY.',
    });
  }
  if (response.status === 401 && response.abroad) {
    return new RegistryError(
      'UNAUTHORIZED',
      `${response.url.host}, to which the registry redirects, requires authentication for ${what}; the registry's credentials are not sent there`,
      { status: 401, hint: 'The storage behind the registry is misconfigured; tell its operator.' },
    );
  }
  const code = STATUS_CODES[response.status] ?? 'SERVER';
  const details = diagnostics(body.toString('utf8'));
  const hint = HINTS[code];
  return new RegistryError(
    code,
    `${response.url.host} answers ${response.status} for ${what}${details && `: ${details}`}`,
    {
      status: response.status,
      ...(hint && { hint }),
    },
  );
}

/** `errors[].code` and `.message` (distribution-spec, "Error Codes"). */
function diagnostics(body: string): string {
  let errors: unknown;
  try {
    errors = (JSON.parse(body) as { errors?: unknown }).errors;
  } catch {
    return '';
  }
  if (!Array.isArray(errors)) return '';
  const lines = errors.map((entry) => {
    const { code, message } = (entry ?? {}) as Record<string, unknown>;
    return [code, message].filter((part) => typeof part === 'string' && part !== '').join(' ');
  });
  // Control characters could rewrite the terminal.
  return [...new Set(lines)]
    .join('; ')
    .replace(/[^\x20-\x7e]/g, ' ')
    .slice(0, MESSAGE_LIMIT);
}

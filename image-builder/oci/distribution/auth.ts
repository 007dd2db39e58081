// Authentication with a registry: Basic, and Bearer tokens from a token server, anonymous or with credentials
// (distribution docs: "Token Authentication Specification", "OAuth2 Token Authentication"; RFC 7235).

import type { Credential } from '../credentials/credentials.ts';
import type { HttpClient } from '../http/client.ts';
import { isLoopback } from '../http/proxy.ts';
import { checkTarget } from '../http/redirect.ts';
import { RegistryError } from '../http/registry-error.ts';
import type { HttpResponse } from '../http/transport.ts';

const TOKEN_LIMIT_BYTES = 1024 * 1024;
const CLIENT_ID = 'image-builder';

/** One challenge of a WWW-Authenticate header. Scheme and parameter names are in lower case. */
export interface Challenge {
  scheme: string;
  parameters: Record<string, string>;
}

/** Parses WWW-Authenticate (RFC 7235, 4.1); values may be quoted and contain commas. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: Challenge[] = [];
  const token = /\s*(?:([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))|([\w-]+))\s*,?/y;
  for (let match = token.exec(header); match && match[0] !== ''; match = token.exec(header)) {
    const [, name, quoted, plain, scheme] = match;
    if (scheme) challenges.push({ scheme: scheme.toLowerCase(), parameters: {} });
    const current = challenges.at(-1);
    if (name && current)
      current.parameters[name.toLowerCase()] = quoted?.replace(/\\(.)/g, '$1') ?? plain ?? '';
  }
  return challenges;
}

/** Answers a registry's challenges for one repository. */
export class Authenticator {
  readonly #client: HttpClient;
  readonly #findCredential: () => Promise<Credential | undefined>;
  readonly #scope: string;
  #authorization: string | undefined;
  #credential: Credential | undefined;
  /** How often the registry has asked. */
  #challenges = 0;

  /** @param scope what is to be done, for example `repository:site/qcow-bundle:pull` */
  constructor(client: HttpClient, findCredential: () => Promise<Credential | undefined>, scope: string) {
    this.#client = client;
    this.#findCredential = findCredential;
    this.#scope = scope;
  }

  /** The Authorization header to send, as far as the registry has asked for one. */
  get headers(): Record<string, string> {
    return this.#authorization === undefined ? {} : { authorization: this.#authorization };
  }

  /**
   * Takes in a 401. Afterwards {@link Authenticator.headers} hold what it asked for.
   * @throws RegistryError UNAUTHORIZED when there is nothing to answer with
   */
  async challenged(response: HttpResponse): Promise<void> {
    const challenges = parseChallenges(response.headers['www-authenticate'] ?? '');
    const credential = await this.#findCredential();
    this.#credential = credential;
    this.#challenges++;
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
    if (bearer) {
      this.#authorization = `Bearer ${await this.#token(bearer, credential, response.url)}`;
      return;
    }
    if (!challenges.some(({ scheme }) => scheme === 'basic')) {
      throw unauthorized(response.url.host, 'it asks for an unsupported kind of login', credential);
    }
    if (credential?.kind !== 'password')
      throw unauthorized(response.url.host, 'it asks for a user name and a password', credential);
    this.#authorization = basic(credential);
  }

  /** The error when the registry asks again after what it was answered. */
  refused(host: string): RegistryError {
    const reason = this.#challenges > 1 ? 'the login has expired' : 'access is denied';
    return unauthorized(host, reason, this.#credential);
  }

  async #token(challenge: Challenge, credential: Credential | undefined, registry: URL): Promise<string> {
    if (credential?.kind === 'bearer-token') return credential.token;
    const { realm = '', service, scope } = challenge.parameters;
    if (!URL.canParse(realm))
      throw new RegistryError('SERVER', `${registry.host} names no token server (realm)`);
    const url = new URL(realm);
    checkRealm(url, registry);
    const scopes = new Set([this.#scope, ...(scope ? scope.split(' ') : [])]);
    const { response, content } = await this.#client.whole(
      () =>
        credential?.kind === 'refresh-token'
          ? this.#exchangeRefreshToken(url, service, [...scopes], credential.token)
          : this.#fetchToken(url, service, [...scopes], credential),
      () => TOKEN_LIMIT_BYTES,
    );
    if (response.status !== 200) throw tokenRefused(url, response.status, credential);
    return tokenIn(content, url);
  }

  #fetchToken(
    realm: URL,
    service: string | undefined,
    scopes: string[],
    credential: Credential | undefined,
  ): Promise<HttpResponse> {
    const url = new URL(realm);
    if (service) url.searchParams.set('service', service);
    for (const scope of scopes) url.searchParams.append('scope', scope);
    if (credential?.kind === 'password') url.searchParams.set('account', credential.username);
    const headers = credential?.kind === 'password' ? { authorization: basic(credential) } : {};
    return this.#client.send({ method: 'GET', url, headers });
  }

  #exchangeRefreshToken(
    url: URL,
    service: string | undefined,
    scopes: string[],
    token: string,
  ): Promise<HttpResponse> {
    const form = new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: token,
      client_id: CLIENT_ID,
      scope: scopes.join(' '),
      ...(service && { service }),
    });
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    return this.#client.send({ method: 'POST', url, headers, body: Buffer.from(form.toString()) });
  }
}

/**
 * Refuses a token server that the registry must not name. One on another host is usual (auth.docker.io for Docker Hub),
 * and costs no trust: the registry could ask for the credentials itself. But not in the clear, unless the registry is
 * asked in the clear on the very same network, and not on an address that is none of the registry's business.
 * @throws RegistryError SERVER, REDIRECT
 */
function checkRealm(realm: URL, registry: URL): void {
  if (!/^https?:$/.test(realm.protocol))
    throw new RegistryError(
      'SERVER',
      `${registry.host} names a token server that is not an http or https URL`,
    );
  const isClear = realm.protocol === 'http:';
  const leavesMachine = isLoopback(registry.hostname) && !isLoopback(realm.hostname);
  if (isClear && (registry.protocol === 'https:' || leavesMachine)) {
    throw new RegistryError(
      'SERVER',
      `${registry.host} asks to send credentials unencrypted to ${realm.host}; refused`,
    );
  }
  checkTarget(realm, registry);
}

function tokenIn(body: Buffer, url: URL): string {
  let answer: unknown;
  try {
    answer = JSON.parse(body.toString('utf8'));
  } catch {
    // The text may be a token: it is not repeated.
    throw new RegistryError('SERVER', `the token server ${url.host} did not return JSON`);
  }
  const { token, access_token: accessToken } = (answer ?? {}) as Record<string, unknown>;
  const value = token || accessToken;
  if (typeof value !== 'string' || !/^[\x21-\x7e]+$/.test(value)) {
    throw new RegistryError('SERVER', `the token server ${url.host} returned no token`);
  }
  return value;
}

function basic({ username, password }: { username: string; password: string }): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

function tokenRefused(url: URL, status: number, credential: Credential | undefined): RegistryError {
  if (status === 401 || status === 403)
    return unauthorized(url.host, `the token server answers ${status}`, credential);
  return new RegistryError('SERVER', `the token server ${url.host} answers ${status}`, { status });
}

/** Says what was tried, without the secrets. */
function unauthorized(host: string, reason: string, credential: Credential | undefined): RegistryError {
  const tried = credential
    ? 'the credentials found for it were rejected'
    : 'no credentials were found for it';
  return new RegistryError('UNAUTHORIZED', `${host} requires authentication (${reason}); ${tried}`, {
    status: 401,
    hint: 'Log in with docker, podman or skopeo, or set REGISTRY_AUTH_FILE to a config.json. The function also accepts imagePullSecrets among its items; under kustomize that requires a transformer in a base of its own, because a generator gets no items.',
  });
}

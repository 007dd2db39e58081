// Where a registry may send a request: redirects (RFC 9110, 15.4) and upload locations, as far as a stranger who controls
// a part of a registry could misuse them.

import { isLoopback } from './proxy.ts';
import { RegistryError } from './registry-error.ts';
import type { HttpRequest } from './transport.ts';

const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/** Whether an answer leads on to another URL. */
export function isRedirect(status: number): boolean {
  return REDIRECTS.has(status);
}

/**
 * The request that a redirect asks for. Credentials stay with the origin, and so do bodies, but for the octets of blobs,
 * which some registries take at their store: a form may hold a refresh token.
 * @param registry where the first request went
 * @throws RegistryError REDIRECT when it may not be followed
 */
export function redirected(
  request: HttpRequest,
  status: number,
  location: string,
  registry: URL,
): HttpRequest {
  const url = redirectTarget(location, request.url, registry);
  const next: HttpRequest = { ...withMethodFor(status, request), url };
  if (url.origin === request.url.origin) return next;
  if (Buffer.isBuffer(next.body) && next.body.length > 0) {
    throw new RegistryError(
      'REDIRECT',
      `${request.url.host} redirects a request with content to another origin (${url.host}); refused`,
      { hint: 'Data sent to a registry or a token server is for that server only.' },
    );
  }
  return { ...next, headers: withoutCredentials(next.headers ?? {}) };
}

/**
 * Refuses a URL that a registry must not send anybody to: this machine, and the addresses of its link, where clouds have
 * services that believe whoever asks. A registry that is on such an address itself may name others there. Names are not
 * looked up: by a proxy they would be others.
 * @throws RegistryError REDIRECT
 */
export function checkTarget(target: URL, registry: URL): void {
  if (!isLocal(target.hostname) || isLocal(registry.hostname)) return;
  throw new RegistryError(
    'REDIRECT',
    `${registry.host} leads to ${target.host}, an address of this machine or its link; refused`,
    { hint: 'The registry is misconfigured, or tries to reach services that are not its own.' },
  );
}

/** 303, and 301 and 302 of POST, become GET without a body (RFC 9110, 15.4.2 to 15.4.4). */
function withMethodFor(status: number, request: HttpRequest): HttpRequest {
  const { method } = request;
  const toGet = status === 303 ? method !== 'HEAD' : method === 'POST' && (status === 301 || status === 302);
  if (!toGet) return request;
  const { body: _, headers = {}, ...rest } = request;
  const kept = Object.entries(headers).filter(([name]) => !/^content-/i.test(name));
  return { ...rest, method: 'GET', headers: Object.fromEntries(kept) };
}

function redirectTarget(location: string, from: URL, registry: URL): URL {
  if (!URL.canParse(location, from.href))
    throw new RegistryError('REDIRECT', `${from.host} redirects to an invalid URL`);
  const target = new URL(location, from);
  if (!/^https?:$/.test(target.protocol)) {
    throw new RegistryError('REDIRECT', `${from.host} redirects to a ${target.protocol} URL`);
  }
  if (from.protocol === 'https:' && target.protocol === 'http:') {
    throw new RegistryError('REDIRECT', `${from.host} redirects from https to plain http (${target.host})`, {
      hint: 'The registry is misconfigured: its blob store or reverse proxy announces the wrong scheme.',
    });
  }
  checkTarget(target, registry);
  return target;
}

/** Loopback, link-local (RFC 3927, RFC 4291 2.5.6), and "this host" (RFC 1122, 3.2.1.3); mapped addresses as well. */
function isLocal(hostname: string): boolean {
  const host = hostname
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '')
    .toLowerCase();
  if (isLoopback(host) || host === '::' || /^fe[89ab][\da-f]:/.test(host)) return true;
  const mapped = /^::(?:ffff:(?:0:)?)?([\da-f]{1,4}):([\da-f]{1,4})$/.exec(host);
  const [high, low] = mapped
    ? [Number.parseInt(mapped[1] ?? '', 16), Number.parseInt(mapped[2] ?? '', 16)]
    : [];
  const address =
    high === undefined || low === undefined ? host : `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
  return /^(?:127|0|169\.254)\.[\d.]+$/.test(address);
}

function withoutCredentials(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !/^(?:authorization|cookie)$/i.test(name)),
  );
}

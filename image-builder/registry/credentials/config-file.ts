// Docker's config.json, podman's auth.json and Kubernetes pull secrets: one format, slightly different keys
// (docker login reference; containers-auth.json(5); Kubernetes "Pull an Image from a Private Registry").

import { RegistryError } from '../error.ts';
import type { Credential } from './types.ts';

/** What one file says. */
export interface CredentialConfig {
  /** For messages. */
  origin: string;
  /** By key: `host`, `host/namespace`, `https://host/v1/`, in pull secrets also `*.host`. */
  auths: Map<string, Credential | 'empty'>;
  /** Helper for everything, or nothing. */
  credsStore?: string;
  /** Helper by host or namespaced key. */
  credHelpers: Map<string, string>;
}

const DOCKER_HUB_HOSTS = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io']);

/** @throws RegistryError CREDENTIALS; the message never repeats content */
export function parseCredentialConfig(text: string, origin: string): CredentialConfig {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    // The parser's own message quotes the text, which may be a password.
    throw new RegistryError('CREDENTIALS', `${origin} is not JSON`, {
      hint: 'Log in again, or remove the file.',
    });
  }
  if (!isObject(document)) throw new RegistryError('CREDENTIALS', `${origin} is not a JSON object`);
  const isLegacy =
    document.auths === undefined && document.credsStore === undefined && document.credHelpers === undefined;
  // .dockercfg is the `auths` object itself.
  const entries = isObject(document.auths) ? document.auths : isLegacy ? document : {};
  const auths = new Map<string, Credential | 'empty'>();
  for (const [key, entry] of Object.entries(entries)) {
    if (isObject(entry)) auths.set(normalizeKey(key), parseEntry(entry, key, origin));
  }
  const helpers = isObject(document.credHelpers) ? document.credHelpers : {};
  return {
    origin,
    auths,
    ...(typeof document.credsStore === 'string' &&
      document.credsStore && { credsStore: document.credsStore }),
    credHelpers: new Map(
      Object.entries(helpers)
        .filter((entry): entry is [string, string] => typeof entry[1] === 'string')
        .map(([key, helper]) => [normalizeKey(key), helper]),
    ),
  };
}

/**
 * Keys to try for a repository, most specific first: podman's auth.json may hold `host/namespace/repository`,
 * `host/namespace`, `host`.
 */
export function candidateKeys(registry: string, repository: string): string[] {
  const hosts = DOCKER_HUB_HOSTS.has(registry)
    ? ['docker.io', 'index.docker.io', 'registry-1.docker.io']
    : [registry];
  const parts = repository.split('/');
  const paths = parts.map((_, index) => `/${parts.slice(0, parts.length - index).join('/')}`);
  return [...paths, ''].flatMap((path) => hosts.map((host) => `${host.toLowerCase()}${path}`));
}

/** The value of the most specific key; `*` in the host part of a key stands for one label, as Kubernetes defines it. */
export function matchKey<T>(map: Map<string, T>, registry: string, repository: string): T | undefined {
  for (const key of candidateKeys(registry, repository)) {
    const exact = map.get(key);
    if (exact !== undefined) return exact;
    for (const [pattern, value] of map) {
      if (pattern.includes('*') && globMatches(pattern, key)) return value;
    }
  }
  return undefined;
}

function globMatches(pattern: string, key: string): boolean {
  const expression = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${expression.join('[^./:]*')}$`).test(key);
}

/** `https://index.docker.io/v1/` and `host/` become `index.docker.io` and `host`. */
function normalizeKey(key: string): string {
  const stripped = key.replace(/^https?:\/\//, '').replace(/\/+$/, '');
  const [host = '', ...path] = stripped.replace(/\/v[12]$/, '').split('/');
  return [host.toLowerCase(), ...path].join('/');
}

function parseEntry(entry: Record<string, unknown>, key: string, origin: string): Credential | 'empty' {
  const text = (name: string) =>
    typeof entry[name] === 'string' && entry[name] !== '' ? entry[name] : undefined;
  const identityToken = text('identitytoken');
  if (identityToken) return { kind: 'refresh-token', token: identityToken };
  const registryToken = text('registrytoken');
  if (registryToken) return { kind: 'bearer-token', token: registryToken };
  const auth = text('auth');
  if (auth) {
    const decoded = Buffer.from(auth, 'base64').toString('utf8').replace(/\0+$/, '');
    const colon = decoded.indexOf(':');
    if (colon < 1)
      throw new RegistryError('CREDENTIALS', `${origin}: the entry for ${key} is damaged`, {
        hint: 'Log in again.',
      });
    return fromPair(decoded.slice(0, colon), decoded.slice(colon + 1));
  }
  const [username, password] = [text('username'), text('password')];
  return username !== undefined && password !== undefined ? fromPair(username, password) : 'empty';
}

/** Docker marks a refresh token stored as a password by the user name `<token>`. */
export function fromPair(username: string, password: string): Credential {
  return username === '<token>'
    ? { kind: 'refresh-token', token: password }
    : { kind: 'password', username, password };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

// Docker's config.json, podman's auth.json and Kubernetes pull secrets: one format, slightly different keys
// (docker login reference; containers-auth.json(5); Kubernetes "Pull an Image from a Private Registry").

import { isRecord } from '../../base/record.ts';
import { RegistryError } from '../http/registry-error.ts';
import type { Credential, PullSecret } from './credentials.ts';

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
  if (!isRecord(document)) throw new RegistryError('CREDENTIALS', `${origin} is not a JSON object`);
  const isLegacy =
    document.auths === undefined && document.credsStore === undefined && document.credHelpers === undefined;
  // .dockercfg is the `auths` object itself.
  const entries = isRecord(document.auths) ? document.auths : isLegacy ? document : {};
  const auths = new Map<string, Credential | 'empty'>();
  for (const [key, entry] of Object.entries(entries)) {
    if (isRecord(entry)) auths.set(normalizeKey(key), parseEntry(entry, key, origin));
  }
  const helpers = isRecord(document.credHelpers) ? document.credHelpers : {};
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

/** The same of a pull secret, whose author has no say in what is run here: without helpers, as Kubernetes reads it. */
export function parsePullSecret({ json, origin }: PullSecret): CredentialConfig {
  const { auths } = parseCredentialConfig(json, origin);
  return { origin, auths, credHelpers: new Map() };
}

/**
 * Paths to try for a repository, most specific first: podman's auth.json may hold `host/namespace/repository`,
 * `host/namespace`, `host`.
 */
function candidatePaths(repository: string): string[] {
  const parts = repository.split('/');
  return [...parts.map((_, index) => `/${parts.slice(0, parts.length - index).join('/')}`), ''];
}

/** The value of the most specific key; `*` stands for a part of a label in the host of a key, as in Kubernetes. */
export function matchKey<T>(map: Map<string, T>, registry: string, repository: string): T | undefined {
  const hosts = DOCKER_HUB_HOSTS.has(registry) ? [...DOCKER_HUB_HOSTS] : [registry.toLowerCase()];
  const globs = new Map<string, T>();
  for (const [key, value] of map) {
    const [pattern, path] = splitKey(key);
    const isNew = pattern.includes('*') && !globs.has(path);
    if (isNew && hosts.some((host) => globMatches(pattern, host))) globs.set(path, value);
  }
  for (const path of candidatePaths(repository)) {
    const exact = hosts.map((host) => map.get(host + path)).find((value) => value !== undefined);
    const found = exact ?? globs.get(path);
    if (found !== undefined) return found;
  }
  return undefined;
}

function splitKey(key: string): [host: string, path: string] {
  const slash = key.indexOf('/');
  return slash < 0 ? [key, ''] : [key.slice(0, slash), key.slice(slash)];
}

/** Label by label, and in time that grows with the length only: the pattern is a stranger's. */
function globMatches(pattern: string, host: string): boolean {
  const [patterns, labels] = [pattern.split(/[.:]/), host.split(/[.:]/)];
  const hasPort = (text: string) => text.includes(':');
  if (patterns.length !== labels.length || hasPort(pattern) !== hasPort(host)) return false;
  return patterns.every((part, index) => labelMatches(part, labels[index] ?? ''));
}

function labelMatches(pattern: string, label: string): boolean {
  const [first = '', ...rest] = pattern.split('*');
  const last = rest.pop();
  if (last === undefined) return pattern === label;
  if (!label.startsWith(first)) return false;
  let position = first.length;
  // The earliest place of each part leaves the most room for the others.
  for (const part of rest) {
    const found = label.indexOf(part, position);
    if (found < 0) return false;
    position = found + part.length;
  }
  return label.length - last.length >= position && label.endsWith(last);
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
    const decoded = withoutPadding(Buffer.from(auth, 'base64').toString('utf8'));
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

/** Without the NULs that some versions of Docker have put at the end. */
function withoutPadding(text: string): string {
  let end = text.length;
  while (text[end - 1] === '\0') end--;
  return text.slice(0, end);
}

/** Docker marks a refresh token stored as a password by the user name `<token>`. */
export function fromPair(username: string, password: string): Credential {
  return username === '<token>'
    ? { kind: 'refresh-token', token: password }
    : { kind: 'password', username, password };
}

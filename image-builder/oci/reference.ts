// References to images: `registry/repository:tag@digest` and the transports oci:, oci-archive:, docker-archive:, docker-daemon:.
// Grammar: https://github.com/distribution/reference (registry references); containers-transports(5) for the others.

import { type Digest, isDigest } from './digest.ts';
import { RegistryError } from './http/registry-error.ts';

/** An image in a registry. At least one of `tag` and `digest` is set; the digest decides. */
export interface RegistryReference {
  transport: 'registry';
  /** `host` or `host:port`, IPv6 in brackets; `docker.io` for Docker Hub. */
  registry: string;
  repository: string;
  tag?: string;
  digest?: Digest;
}

/** An image in a local file or directory. */
export interface FileReference {
  transport: 'oci' | 'oci-archive' | 'docker-archive';
  /** As given: absolute, or relative to the working directory; without the backslashes before colons. */
  path: string;
  /** oci, oci-archive: the annotation org.opencontainers.image.ref.name; docker-archive: `repository:tag`. */
  tag?: string;
  digest?: Digest;
}

/** An image that a local Docker or Podman engine has. */
export interface DaemonReference {
  transport: 'docker-daemon';
  /** `repository:tag` or an image ID. */
  name: string;
  digest?: Digest;
}

export type Reference = RegistryReference | FileReference | DaemonReference;

const FILE_TRANSPORT = /^(oci|oci-archive|docker-archive):(?!\/\/(?!\/))/;
const REGISTRY_SCHEME = /^(?:docker|oci):\/\/(?=[^/])/;
const DOMAIN = /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:.]+\])(?::[0-9]{1,5})?$/;
const PATH_COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const TRANSPORT_AS_HOST = /^(?:oci|oci-archive|docker-archive|docker-daemon):/;
const TAG = /^\w[\w.-]{0,127}$/;

/**
 * Parses a reference as users write it. `docker://` and `oci://` before a registry reference are accepted, since skopeo,
 * Helm and Ironic write them.
 * @throws RegistryError INVALID_REFERENCE
 */
export function parseReference(text: string): Reference {
  if (text.trim() === '') throw invalid(text, 'it is empty');
  if (/\s/.test(text.trim()) && !FILE_TRANSPORT.test(text)) throw invalid(text, 'it contains white space');
  const file = FILE_TRANSPORT.exec(text);
  if (file) return parseFile(text, file[1] as FileReference['transport'], text.slice(file[0].length));
  if (text.startsWith('docker-daemon:')) return parseDaemon(text, text.slice('docker-daemon:'.length));
  return parseRegistry(text, text.trim().replace(REGISTRY_SCHEME, ''));
}

/** Whether the text is a host name or an address, with or without a port, that can be connected to. */
export function isRegistryHost(text: string): boolean {
  return DOMAIN.test(text) && URL.canParse(`https://${text}`);
}

/** The canonical text of a reference: {@link parseReference} of it gives the same reference. */
export function formatReference(reference: Reference): string {
  const digest = reference.digest ? `@${reference.digest}` : '';
  if (reference.transport === 'docker-daemon') return `docker-daemon:${reference.name}${digest}`;
  const tag = reference.tag ? `:${reference.tag}` : '';
  const name =
    reference.transport === 'registry'
      ? `${reference.registry}/${reference.repository}`
      : `${reference.transport}:${escapePath(reference.path)}`;
  return `${name}${tag}${digest}`;
}

function parseFile(text: string, transport: FileReference['transport'], rest: string): FileReference {
  const [name, digest] = splitOffFileDigest(text, rest);
  const end = endOfPath(name);
  const path = name.slice(0, end).replace(/\\([\\:@])/g, '$1');
  const tag = end < name.length ? name.slice(end + 1) : undefined;
  if (path === '') throw invalid(text, 'it names no path');
  if (tag === '') throw invalid(text, 'nothing follows the colon');
  return { transport, path, ...(tag && { tag }), ...(digest && { digest }) };
}

function parseDaemon(text: string, rest: string): DaemonReference {
  const [name, digest] = splitOffDigest(text, rest);
  if (name === '' && !digest) throw invalid(text, 'it names no image');
  if (isDigest(name)) return { transport: 'docker-daemon', name };
  const parsed = parseRegistry(text, digest ? `${name}@${digest}` : name);
  return {
    transport: 'docker-daemon',
    name: `${familiarName(parsed)}${parsed.tag ? `:${parsed.tag}` : ''}`,
    ...(digest && { digest }),
  };
}

function parseRegistry(text: string, rest: string): RegistryReference {
  const [name, digest] = splitOffDigest(text, rest);
  const slash = name.indexOf('/');
  const first = slash < 0 ? '' : name.slice(0, slash);
  const isDomain = /[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase();
  const registry = isDomain ? canonicalRegistry(first) : 'docker.io';
  const { repository: path, tag } = splitOffTag(isDomain ? name.slice(slash + 1) : name);
  // Docker Hub's official images live under library/.
  const repository = registry === 'docker.io' && !path.includes('/') ? `library/${path}` : path;

  // Behind a blank or a scheme it would be taken for a registry, and written down it would be a place on this machine.
  if (TRANSPORT_AS_HOST.test(first))
    throw invalid(text, `"${first}" begins like a transport, and is no host`);
  if (isDomain && !isRegistryHost(first))
    throw invalid(text, `"${first}" is not a host name or address with an optional port`);
  if (path === '') throw invalid(text, 'it names no repository');
  for (const component of repository.split('/')) {
    if (!PATH_COMPONENT.test(component)) throw invalid(text, repositoryProblem(component));
  }
  if (repository.length > 255) throw invalid(text, 'the repository name is longer than 255 characters');
  if (tag !== undefined && !TAG.test(tag)) throw invalid(text, `"${tag}" is not a tag`);
  return {
    transport: 'registry',
    registry,
    repository,
    ...(tag !== undefined ? { tag } : digest ? {} : { tag: 'latest' }),
    ...(digest && { digest }),
  };
}

/** The key under which Docker Hub is known, whatever it was called. */
function canonicalRegistry(domain: string): string {
  return domain === 'index.docker.io' || domain === 'registry-1.docker.io' ? 'docker.io' : domain;
}

function familiarName(reference: RegistryReference): string {
  if (reference.registry !== 'docker.io') return `${reference.registry}/${reference.repository}`;
  return reference.repository.replace(/^library\//, '');
}

function splitOffDigest(text: string, rest: string): [string, Digest | undefined] {
  const at = rest.lastIndexOf('@');
  if (at < 0) return [rest, undefined];
  const digest = rest.slice(at + 1);
  if (!isDigest(digest)) {
    throw invalid(text, `"${digest}" is not a digest; a digest is sha256: and 64 lower-case hex digits`);
  }
  return [rest.slice(0, at), digest];
}

/**
 * As in containers/image, a path ends at the first colon; what follows may itself contain colons and slashes. A colon of
 * the path stands behind a backslash.
 */
function endOfPath(name: string): number {
  let end = 0;
  while (end < name.length && name[end] !== ':') end += name[end] === '\\' ? 2 : 1;
  return Math.min(end, name.length);
}

/** Only what begins like a digest is meant as one: paths have `@` in them, too. */
function splitOffFileDigest(text: string, rest: string): [string, Digest | undefined] {
  const at = rest.lastIndexOf('@');
  let backslashes = 0;
  while (rest[at - 1 - backslashes] === '\\') backslashes++;
  const isMeant = /^sha(?:256|512):/.test(rest.slice(at + 1)) && backslashes % 2 === 0;
  return at >= 0 && isMeant ? splitOffDigest(text, rest) : [rest, undefined];
}

/** Colons, backslashes and what could be taken for a digest behind a backslash. */
function escapePath(path: string): string {
  return path.replace(/[\\:]|@(?=sha(?:256|512)(?::|$))/g, '\\$&');
}

function splitOffTag(name: string): { repository: string; tag?: string } {
  const colon = name.indexOf(':', name.lastIndexOf('/') + 1);
  return colon < 0 ? { repository: name } : { repository: name.slice(0, colon), tag: name.slice(colon + 1) };
}

function repositoryProblem(component: string): string {
  if (component === '') return 'the repository has an empty part between two slashes';
  if (component !== component.toLowerCase()) return `the repository part "${component}" must be lower case`;
  return `"${component}" is not a valid part of a repository name (lower-case letters, digits, and single separators . _ __ -)`;
}

function invalid(text: string, problem: string): RegistryError {
  return new RegistryError('INVALID_REFERENCE', `"${text}" is not an image reference: ${problem}`, {
    hint: 'Write registry/repository[:tag][@digest], oci:DIR[:tag], oci-archive:FILE[:tag], docker-archive:FILE[:name:tag] or docker-daemon:NAME:TAG.',
  });
}

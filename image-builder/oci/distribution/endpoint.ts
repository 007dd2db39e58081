// Where a repository is served: the registry's host, the scheme, and the repository's name there.

import { isLoopback } from '../http/proxy.ts';
import type { RegistryReference } from '../reference.ts';

/** One place to ask for a repository. */
export interface Endpoint {
  /** `host[:port]` to connect to. */
  host: string;
  /** Repository name on that host; a mirror may keep it under a prefix. */
  repository: string;
  /** Under which name credentials are looked up; absent: it gets none. */
  credentialHost?: string;
  /** Whether plain HTTP, and TLS that cannot be verified, will do. */
  insecure: boolean;
  /** A mirror is asked first and may fail. */
  mirror: boolean;
  /** Tags are asked from the registry itself when a mirror serves digests only. */
  digestsOnly: boolean;
}

/** The registry's own endpoint. */
export function primaryEndpoint(reference: RegistryReference, insecure: boolean): Endpoint {
  return endpointAt(reference.registry, reference.repository, insecure);
}

/** An endpoint that is not a mirror. */
export function endpointAt(registry: string, repository: string, insecure: boolean): Endpoint {
  return {
    host: apiHost(registry),
    repository,
    credentialHost: registry,
    insecure,
    mirror: false,
    digestsOnly: false,
  };
}

/**
 * A mirror by its base URL; a path is put before the name of the repository. One without TLS gets no credentials unless it
 * is on loopback: who names a mirror has no say in where this machine's logins go.
 */
export function mirrorEndpoint(mirror: string, { repository }: RegistryReference): Endpoint {
  const { protocol, host, hostname, pathname } = new URL(mirror);
  const path = pathname.replace(/^\/+|\/+$/g, '');
  const insecure = protocol === 'http:';
  return {
    host,
    repository: path === '' ? repository : `${path}/${repository}`,
    ...(!insecure || isLoopback(hostname) ? { credentialHost: host } : {}),
    insecure,
    mirror: true,
    digestsOnly: false,
  };
}

/** Docker Hub's API lives on another host than its name says. */
export function apiHost(registry: string): string {
  return registry === 'docker.io' ? 'registry-1.docker.io' : registry;
}

/**
 * Whether plain HTTP may be used when there is no TLS; TLS is always tried first. On loopback it may without being
 * asked for, as in Docker.
 */
export function plainHttp(endpoint: Endpoint): 'never' | 'on loopback' | 'as asked for' {
  if (endpoint.insecure) return 'as asked for';
  return isLoopback(new URL(`https://${endpoint.host}`).hostname) ? 'on loopback' : 'never';
}

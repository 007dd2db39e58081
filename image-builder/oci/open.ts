// Opens the place that a reference names. Only the code for that kind of place is loaded.

import { openTransport } from '#runtime';
import type { Env } from '../base/env.ts';
import type { CredentialOptions } from './credentials/credentials.ts';
import type { Action, DistributionClient } from './distribution/repository-client.ts';
import type { HttpClient, HttpLimits } from './http/client.ts';
import type { ImageSource, MayRead } from './image-source.ts';
import type { Reference, RegistryReference } from './reference.ts';

/** How sources behave. */
export interface SourceOptions {
  credentials?: CredentialOptions;
  /** Plain HTTP and unverified TLS are allowed for the registry (on loopback plain HTTP always is). */
  insecure?: boolean;
  signal?: AbortSignal;
  /** Patience; what is left out has defaults. */
  limits?: Partial<HttpLimits>;
  /** Default: the process's own environment. */
  environment?: Env;
  mayRead?: MayRead;
  /** Base URLs of mirrors by registry, which are asked before those of the machine. Only for reading. */
  mirrors?: Readonly<Record<string, readonly string[]>>;
}

/** @throws RegistryError NOT_FOUND, CONFIGURATION */
export async function openSource(reference: Reference, options: SourceOptions = {}): Promise<ImageSource> {
  switch (reference.transport) {
    case 'registry':
      return openRegistry(reference, options);
    case 'oci':
    case 'oci-archive':
      return (await import('./layout/layout-source.ts')).openLayout(reference, options.mayRead);
    case 'docker-archive':
      return (await import('./sources/docker-archive.ts')).openDockerArchive(reference);
    case 'docker-daemon':
      return (await import('./sources/daemon.ts')).openDaemon(reference, options);
  }
}

async function openRegistry(reference: RegistryReference, options: SourceOptions): Promise<ImageSource> {
  const { RegistrySource } = await import('./sources/registry.ts');
  const { clients, http } = await openRepository(reference, 'pull', options);
  return new RegistrySource(reference, clients, http, options.signal);
}

/** Clients of a repository: those of its mirrors, which only reading may ask, and last that of the registry itself. */
export async function openRepository(
  reference: RegistryReference,
  action: Action,
  options: SourceOptions = {},
): Promise<{ clients: DistributionClient[]; http: HttpClient }> {
  const environment = options.environment ?? process.env;
  const [
    { DistributionClient },
    { HttpClient, DEFAULT_LIMITS },
    { keychain },
    { endpointsFor },
    { tlsSettings },
    { mirrorEndpoint },
  ] = await Promise.all([
    import('./distribution/repository-client.ts'),
    import('./http/client.ts'),
    import('./credentials/keychain.ts'),
    import('./credentials/registries-conf.ts'),
    import('./http/certificates.ts'),
    import('./distribution/endpoint.ts'),
  ]);
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const mirrors = (options.mirrors?.[reference.registry] ?? []).map((url) => mirrorEndpoint(url, reference));
  const endpoints = [...mirrors, ...(await endpointsFor(reference, options.insecure ?? false, environment))];
  const insecureHosts = new Set(endpoints.filter(({ insecure }) => insecure).map(({ host }) => host));
  const transport = await openTransport(
    environment,
    (host) => tlsSettings(host, insecureHosts.has(host), environment),
    limits,
  );
  const http = new HttpClient(transport, { requests: 0, bytes: 0 }, limits, options.signal);
  const credentials = keychain(options.credentials ?? {}, environment, options.signal);
  const clients = endpoints.map((endpoint) => new DistributionClient(endpoint, http, credentials, action));
  return { clients, http };
}

/** The registry itself, of the clients of {@link openRepository}: nothing is written to a mirror. */
export function writingClient(clients: readonly DistributionClient[]): DistributionClient {
  const client = clients.at(-1);
  if (!client) throw new TypeError('a repository without an endpoint');
  return client;
}

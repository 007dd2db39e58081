// Images that an engine has (docker-daemon:): Docker or Podman, over the Docker Engine API
// (https://docs.docker.com/reference/api/engine/, ImageGet).

import type { ImageBuilderError } from '../../base/diagnostics/error.ts';
import type { Env } from '../../base/env.ts';
import {
  defaultEngineHost,
  type EngineAddress,
  parseEngineHost,
  socketPaths,
} from '../../engines/api/address.ts';
import { EngineApiError, EngineClient } from '../../engines/api/engine-client.ts';
import { networkError } from '../http/network-error.ts';
import { RegistryError } from '../http/registry-error.ts';
import type { Cost } from '../http/transport.ts';
import type { ImageSource } from '../image-source.ts';
import { type DaemonReference, formatReference } from '../reference.ts';
import { DockerArchiveSource } from './docker-archive.ts';
import { StreamedFiles } from './named-files.ts';

/** Opens `docker-daemon:` references. @throws RegistryError NOT_FOUND, NETWORK, TLS, CONFIGURATION */
export async function openDaemon(
  reference: DaemonReference,
  options: { environment?: Env; signal?: AbortSignal },
): Promise<ImageSource> {
  const address = addressOf(options.environment ?? process.env);
  const cost: Cost = { requests: 0, bytes: 0 };
  const name = formatReference(reference);
  const image = reference.name || reference.digest || '';
  const files = new StreamedFiles(() => download(address, image, cost, options.signal), name, cost);
  return new DockerArchiveSource(files, name, reference.digest ? { digest: reference.digest } : {});
}

function addressOf(env: Env): EngineAddress {
  const host = defaultEngineHost(env);
  if (host === undefined) {
    const places = [...socketPaths('docker', env), ...socketPaths('podman', env)].join(', ');
    throw new RegistryError('NETWORK', 'no container engine was found on this machine', {
      hint: `Start Docker or Podman's API service, or set DOCKER_HOST; looked for ${places}.`,
    });
  }
  try {
    return parseEngineHost(host, env);
  } catch (cause) {
    const variable = env.DOCKER_HOST ? 'DOCKER_HOST' : 'CONTAINER_HOST';
    throw new RegistryError('CONFIGURATION', `${variable}: ${(cause as Error).message}`, {
      cause,
      hint: 'For an engine behind SSH, save the image with `docker save` and use docker-archive:FILE.',
    });
  }
}

async function* download(
  address: EngineAddress,
  image: string,
  cost: Cost,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  cost.requests++;
  const client = new EngineClient(address);
  try {
    const path = `/images/${encodeURIComponent(image)}/get`;
    const response = await client.stream('GET', path, undefined, signal);
    try {
      for await (const chunk of response as AsyncIterable<Buffer>) {
        cost.bytes += chunk.length;
        yield chunk;
      }
    } finally {
      response.destroy();
    }
  } catch (error) {
    throw error instanceof EngineApiError ? refusal(error, image) : connectionError(error, address, signal);
  }
}

function refusal({ status, message }: EngineApiError, image: string): RegistryError {
  const answer = `the container engine answers ${status} for the image ${image}: ${message}`;
  return status === 404
    ? new RegistryError('NOT_FOUND', answer, {
        hint: 'List the images with `docker images`; pull it first, or use the registry reference without docker-daemon:.',
      })
    : new RegistryError('SERVER', answer, {
        hint: 'Check DOCKER_HOST. An engine protected by TLS needs DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH.',
      });
}

function connectionError(
  cause: unknown,
  address: EngineAddress,
  signal: AbortSignal | undefined,
): ImageBuilderError {
  const authority = 'socketPath' in address ? 'engine' : authorityOf(address);
  const error = networkError(cause, new URL(`http://${authority}`), signal);
  if (error.code !== 'TLS') return error;
  return new RegistryError('TLS', error.message, {
    cause,
    hint: 'DOCKER_CERT_PATH names the directory of ca.pem, cert.pem and key.pem; DOCKER_TLS_VERIFY=1 asks for them.',
  });
}

const authorityOf = ({ host, port }: { host: string; port: number }) =>
  `${host.includes(':') ? `[${host}]` : host}:${port}`;

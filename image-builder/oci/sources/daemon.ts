// Images that a local engine has (docker-daemon:): Docker or Podman, over the Docker Engine API
// (https://docs.docker.com/reference/api/engine/, ImageGet and ImageInspect).

import { access } from 'node:fs/promises';
import http from 'node:http';
import type { Env } from '../../base/env.ts';
import { networkError } from '../http/network-error.ts';
import type { Cost, ImageSource } from '../image-source.ts';
import { type DaemonReference, formatReference } from '../reference.ts';
import { RegistryError } from '../registry-error.ts';
import { DockerArchiveSource } from './docker-archive.ts';
import { StreamedFiles } from './named-files.ts';

/** Opens `docker-daemon:` references. @throws RegistryError NOT_FOUND, NETWORK, CONFIGURATION */
export async function openDaemon(
  reference: DaemonReference,
  options: { environment?: Env; signal?: AbortSignal },
): Promise<ImageSource> {
  const environment = options.environment ?? process.env;
  const connection = await engine(environment);
  const cost: Cost = { requests: 0, bytes: 0 };
  const name = formatReference(reference);
  const image = reference.name || reference.digest || '';
  const files = new StreamedFiles(() => download(connection, image, cost, options.signal), name, cost);
  return new DockerArchiveSource(files, name, reference.digest ? { digest: reference.digest } : {});
}

type Connection = { socketPath: string } | { host: string; port: number };

/** DOCKER_HOST, CONTAINER_HOST, or the first socket that exists. */
async function engine(environment: Env): Promise<Connection> {
  const configured = environment.DOCKER_HOST || environment.CONTAINER_HOST;
  if (configured) return parseHost(configured);
  const runtime = environment.XDG_RUNTIME_DIR;
  const sockets = [
    '/var/run/docker.sock',
    ...(runtime ? [`${runtime}/docker.sock`, `${runtime}/podman/podman.sock`] : []),
    '/run/podman/podman.sock',
  ];
  for (const socketPath of sockets) {
    if (
      await access(socketPath).then(
        () => true,
        () => false,
      )
    )
      return { socketPath };
  }
  throw new RegistryError('NETWORK', 'no container engine was found on this machine', {
    hint: `Start Docker or Podman's API service, or set DOCKER_HOST; looked for ${sockets.join(', ')}.`,
  });
}

function parseHost(text: string): Connection {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'unix:') return { socketPath: decodeURIComponent(url.pathname) };
  if (url?.protocol === 'tcp:' || url?.protocol === 'http:') {
    return { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || 2375) };
  }
  throw new RegistryError('CONFIGURATION', `DOCKER_HOST is neither unix:// nor tcp://`, {
    hint: 'For an engine behind TLS or SSH save the image with `docker save` and use docker-archive:FILE.',
  });
}

async function* download(
  connection: Connection,
  image: string,
  cost: Cost,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  cost.requests++;
  const url = new URL(`http://engine/images/${encodeURIComponent(image)}/get`);
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    const request = http.get(
      { ...connection, path: url.pathname, agent: false, ...(signal && { signal }) },
      resolve,
    );
    request.once('error', (cause) => reject(networkError(cause, url, signal)));
  });
  try {
    if (response.statusCode !== 200) {
      const code = response.statusCode === 404 ? 'NOT_FOUND' : 'SERVER';
      throw new RegistryError(
        code,
        `the container engine answers ${response.statusCode} for the image ${image}`,
        {
          hint: 'List the images with `docker images`; pull it first, or use the registry reference without docker-daemon:.',
        },
      );
    }
    for await (const chunk of response as AsyncIterable<Buffer>) {
      cost.bytes += chunk.length;
      yield chunk;
    }
  } catch (error) {
    throw networkError(error, url, signal);
  } finally {
    response.destroy();
  }
}

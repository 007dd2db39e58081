// What a reference touches on this machine.
import type { Env } from '../base/env.ts';
import { parseReference } from '../oci/reference.ts';

/** The socket that engines are asked by when nothing else is configured. */
const ENGINE_SOCKET = '/var/run/docker.sock';

/**
 * The file or directory that a reference reads, or the socket of the engine that has its image; undefined for one in a
 * registry.
 * @throws RegistryError INVALID_REFERENCE
 */
export function localPathOf(reference: string, env: Env): string | undefined {
  const parsed = parseReference(reference);
  switch (parsed.transport) {
    case 'registry':
      return undefined;
    case 'docker-daemon':
      return /^unix:\/\/(.+)$/.exec(env.DOCKER_HOST ?? '')?.[1] ?? ENGINE_SOCKET;
    default:
      return parsed.path;
  }
}

// What a reference touches on this machine.
import type { Env } from '../base/env.ts';
import { defaultEngineHost } from '../engines/api/address.ts';
import { parseReference } from './reference.ts';

/** Stands for an engine that is not asked by a socket: who may use this one may have the images of the other. */
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
      return /^unix:\/\/(.+)$/.exec(defaultEngineHost(env) ?? '')?.[1] ?? ENGINE_SOCKET;
    default:
      return parsed.path;
  }
}

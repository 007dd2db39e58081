// Where a container engine listens: DOCKER_HOST and its companions, or the sockets that engines have by default.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SecureContextOptions } from 'node:tls';
import type { Env } from '../../base/env.ts';

/** What to connect to; `tls` for an engine that is protected by certificates. */
export type EngineAddress =
  | { socketPath: string }
  | { host: string; port: number; tls?: SecureContextOptions & { rejectUnauthorized: boolean } };

/** The places to try, as DOCKER_HOST would name them: the one that is set, or the sockets that exist. */
export function engineHosts(name: 'docker' | 'podman', env: Env): string[] {
  const configured = name === 'podman' ? env.CONTAINER_HOST : env.DOCKER_HOST;
  if (configured) return [configured];
  return socketPaths(name, env)
    .filter((path) => existsSync(path))
    .map((path) => `unix://${path}`);
}

/** The engine whose images are meant where none is named: the one that is set, or the first whose socket exists. */
export function defaultEngineHost(env: Env): string | undefined {
  return (
    env.DOCKER_HOST || env.CONTAINER_HOST || [...engineHosts('docker', env), ...engineHosts('podman', env)][0]
  );
}

/** The sockets of an engine, in the order in which they are tried. */
export function socketPaths(name: 'docker' | 'podman', { XDG_RUNTIME_DIR }: Env): string[] {
  return name === 'docker'
    ? ['/var/run/docker.sock', ...(XDG_RUNTIME_DIR ? [`${XDG_RUNTIME_DIR}/docker.sock`] : [])]
    : [...(XDG_RUNTIME_DIR ? [`${XDG_RUNTIME_DIR}/podman/podman.sock`] : []), '/run/podman/podman.sock'];
}

/**
 * Reads DOCKER_HOST; DOCKER_TLS_VERIFY, DOCKER_TLS and DOCKER_CERT_PATH are taken as docker's own command line takes
 * them (https://docs.docker.com/engine/security/protect-access/).
 * @throws Error for a form that needs the engine's own command line, and for certificates that cannot be read
 */
export function parseEngineHost(host: string, env: Env): EngineAddress {
  const url = URL.canParse(host) ? new URL(host) : undefined;
  if (url?.protocol === 'unix:') return { socketPath: decodeURIComponent(url.pathname) };
  if (url === undefined || !['tcp:', 'http:', 'https:'].includes(url.protocol)) {
    throw new Error('neither unix:// nor tcp://; ssh:// needs the command line of the engine');
  }
  const address = { host: url.hostname.replace(/^\[|\]$/g, '') };
  const isVerified = Boolean(env.DOCKER_TLS_VERIFY) || !env.DOCKER_TLS;
  if (!env.DOCKER_TLS_VERIFY && !env.DOCKER_TLS && url.protocol !== 'https:') {
    return { ...address, port: Number(url.port || 2375) };
  }
  const directory = env.DOCKER_CERT_PATH || join(env.HOME || '/nonexistent', '.docker');
  const [ca, cert, key] = ['ca.pem', 'cert.pem', 'key.pem'].map((file) => {
    const path = join(directory, file);
    return existsSync(path) ? readFileSync(path) : undefined;
  });
  const tls = {
    rejectUnauthorized: isVerified,
    ...(ca && { ca }),
    ...(cert && { cert }),
    ...(key && { key }),
  };
  return { ...address, port: Number(url.port || 2376), tls };
}

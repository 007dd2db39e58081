// Where an engine listens: DOCKER_HOST and its companions, or the sockets that engines have by default.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SecureContextOptions } from 'node:tls';
import type { Env } from '../../base/env.ts';
import type { EngineName } from '../engine.ts';

/** What to connect to; `tls` for an engine that is protected by certificates. */
export type ApiAddress =
  | { socketPath: string }
  | { host: string; port: number; tls?: SecureContextOptions & { rejectUnauthorized: boolean } };

/** The places to try, as DOCKER_HOST would name them: the one that is set, or the sockets that exist. */
export function apiHosts(name: EngineName, environment: Env): string[] {
  if (name === 'nerdctl') return [];
  const configured = name === 'podman' ? environment.CONTAINER_HOST : environment.DOCKER_HOST;
  if (configured) return [configured];
  const runtime = environment.XDG_RUNTIME_DIR;
  const sockets =
    name === 'docker'
      ? ['/var/run/docker.sock', ...(runtime ? [`${runtime}/docker.sock`] : [])]
      : ['/run/podman/podman.sock', ...(runtime ? [`${runtime}/podman/podman.sock`] : [])];
  return sockets.filter((socket) => existsSync(socket)).map((socket) => `unix://${socket}`);
}

/**
 * Reads DOCKER_HOST; DOCKER_TLS_VERIFY and DOCKER_CERT_PATH are taken as docker's own command line takes them
 * (https://docs.docker.com/engine/security/protect-access/).
 * @throws Error for a form that needs the engine's own command line, and for certificates that cannot be read
 */
export function parseHost(host: string, environment: Env): ApiAddress {
  const url = URL.canParse(host) ? new URL(host) : undefined;
  if (url?.protocol === 'unix:') return { socketPath: decodeURIComponent(url.pathname) };
  if (url === undefined || !['tcp:', 'http:', 'https:'].includes(url.protocol)) {
    throw new Error('neither unix:// nor tcp://; ssh:// needs the command line of the engine');
  }
  const address = { host: url.hostname.replace(/^\[|\]$/g, '') };
  const verify = Boolean(environment.DOCKER_TLS_VERIFY);
  if (!verify && !environment.DOCKER_TLS && url.protocol !== 'https:') {
    return { ...address, port: Number(url.port || 2375) };
  }
  const directory = environment.DOCKER_CERT_PATH || join(environment.HOME || '/nonexistent', '.docker');
  const [ca, cert, key] = ['ca.pem', 'cert.pem', 'key.pem'].map((file) => {
    const path = join(directory, file);
    return existsSync(path) ? readFileSync(path) : undefined;
  });
  const tls = { rejectUnauthorized: verify, ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
  return { ...address, port: Number(url.port || 2376), tls };
}

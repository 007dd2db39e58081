// Whether an engine sees the directories that this process sees. It does not when it runs on another machine, and when
// its socket was mounted into the container that this process runs in.

import { existsSync, readFileSync, realpathSync } from 'node:fs';
import type { Env } from '../base/env.ts';

/** The surroundings of this process, as far as they tell. */
export interface Surroundings {
  /** Whether this process runs in a container. */
  insideContainer: boolean;
  /** Mount points, of /proc/self/mountinfo. */
  mountPoints: readonly string[];
}

/** Looks at what engines leave in their containers, and at what our own images say. */
export function lookAround(environment: Env): Surroundings {
  const insideContainer =
    environment.IMAGE_BUILDER_CONTAINER !== undefined ||
    ['/.dockerenv', '/run/.containerenv'].some((path) => existsSync(path));
  return { insideContainer, mountPoints: insideContainer ? readMountPoints() : [] };
}

/**
 * Whether the engine at `host` (DOCKER_HOST's form) is somewhere else.
 * @param host `unix:///path`; anything else than a socket is another machine
 */
export function isRemote(host: string, surroundings: Surroundings): boolean {
  const socket = /^unix:\/\/(.*)$/.exec(host)?.[1];
  if (socket === undefined) return !host.startsWith('npipe:');
  if (!surroundings.insideContainer) return false;
  // An engine that was started in this container has its socket on the container's own file system.
  const path = realPath(socket);
  return surroundings.mountPoints.some((point) => path === point || path.startsWith(`${point}/`));
}

function readMountPoints(): string[] {
  try {
    return readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .map((line) => line.split(' ')[4] ?? '')
      .filter((path) => path !== '');
  } catch {
    return [];
  }
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

// The environment of a tool: a short fixed list, so that a build does not depend on who runs it.

import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import type { Env } from '../base/env.ts';

const SYSTEM_DIRECTORIES = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
const PROXY_VARIABLES = ['http_proxy', 'https_proxy', 'ftp_proxy', 'no_proxy', 'all_proxy'];

/** PATH with the sbin directories, which an ordinary user's PATH lacks though the tools there work for everyone. */
export function toolPath(path: string | undefined): string[] {
  const directories = (path ?? '').split(':').filter((directory) => directory.startsWith('/'));
  return [...new Set([...directories, ...SYSTEM_DIRECTORIES])];
}

/** What a tool inherits: PATH, HOME, TMPDIR, a fixed locale, and the proxy variables that are not empty. */
export function toolEnvironment(from: Env, extra: Record<string, string> = {}): Record<string, string> {
  const environment: Record<string, string> = {
    PATH: toolPath(from.PATH).join(':'),
    HOME: from.HOME || '/nonexistent',
    LANG: 'C.UTF-8',
    LC_ALL: 'C.UTF-8',
    TZ: 'UTC',
  };
  if (from.TMPDIR) environment.TMPDIR = from.TMPDIR;
  for (const name of PROXY_VARIABLES) {
    for (const variable of [name, name.toUpperCase()]) {
      const value = from[variable];
      if (value) environment[variable] = value;
    }
  }
  return { ...environment, ...extra };
}

/** The absolute path of an executable, or undefined. */
export function findExecutable(name: string, path: readonly string[]): string | undefined {
  const candidates = name.includes('/') ? [name] : path.map((directory) => join(directory, name));
  return candidates.find((candidate) => {
    try {
      accessSync(candidate, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

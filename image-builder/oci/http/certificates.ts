// Certificate authorities and client certificates of a registry, where Docker and podman look for them:
// <certs.d>/<host[:port]>/{*.crt, *.cert, *.key} (docs.docker.com "Verify repository client with certificates";
// containers-certs.d(5)).

import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Env } from '../../base/env.ts';
import type { TlsSettings } from './connection-settings.ts';
import { RegistryError } from './registry-error.ts';

/**
 * TLS settings of a `host[:port]`. The first directory that has the host counts, the user's before the machine's.
 * SSL_CERT_FILE adds authorities for every host, as it does for Go programs.
 * @throws RegistryError CONFIGURATION for unreadable files and a certificate without its key
 */
export async function tlsSettings(host: string, insecure: boolean, environment: Env): Promise<TlsSettings> {
  const ca: string[] = [];
  const hostCa: string[] = [];
  const settings: TlsSettings = { ca, hostCa, ...(insecure && { insecure }) };
  if (environment.SSL_CERT_FILE) ca.push(await read(environment.SSL_CERT_FILE));
  for (const directory of certificateDirectories(host, environment)) {
    const names = list(directory);
    if (names === undefined) continue;
    for (const name of names.filter((file) => file.endsWith('.crt')))
      hostCa.push(await read(join(directory, name)));
    const certificate = names.find((file) => file.endsWith('.cert'));
    if (certificate) {
      const key = certificate.replace(/\.cert$/, '.key');
      if (!names.includes(key)) {
        throw new RegistryError('CONFIGURATION', `${directory} has ${certificate} but not its key ${key}`);
      }
      settings.cert = await read(join(directory, certificate));
      settings.key = await read(join(directory, key));
    }
    break;
  }
  ca.push(...hostCa);
  return settings;
}

function certificateDirectories(host: string, environment: Env): string[] {
  const { HOME, XDG_CONFIG_HOME } = environment;
  const configHome = XDG_CONFIG_HOME || (HOME && join(HOME, '.config'));
  const roots = [
    configHome && join(configHome, 'containers/certs.d'),
    '/etc/containers/certs.d',
    '/etc/docker/certs.d',
  ];
  // A default port is not part of the directory's name.
  const names = new Set([host, host.replace(/:443$/, '')]);
  return roots
    .filter((root): root is string => Boolean(root))
    .flatMap((root) => [...names].map((name) => join(root, name)));
}

/** At once: most hosts have none of these directories, and each run looks for all of them. */
function list(directory: string): string[] | undefined {
  try {
    return readdirSync(directory).sort();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EACCES') return undefined;
    throw new RegistryError('CONFIGURATION', `cannot read ${directory}: ${code}`, { cause });
  }
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new RegistryError('CONFIGURATION', `cannot read the certificate file ${path}: ${code}`, {
      cause,
      hint: 'Check its permissions.',
    });
  }
}

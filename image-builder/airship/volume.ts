// `container.volume` of a builder configuration: the directory that caller and container share.
import { join } from 'node:path/posix';
import type { Finding } from '../base/diagnostics/error.ts';
import { kindOf } from './documents.ts';

/**
 * `container.volume`: `<host path>:<container path>`, or one path for both; mount options may follow.
 * The container's half is what the builder sees; the host's half is only told to the caller.
 */
export function parseVolume(
  value: unknown,
  findings: Finding[],
  file?: string,
): { host: string; container: string } | undefined {
  const problem = (message: string): Finding => ({
    severity: 'error',
    field: 'container.volume',
    message,
    ...(file === undefined ? {} : { file }),
  });
  if (typeof value !== 'string' || value === '') {
    findings.push(
      problem(`is ${kindOf(value)}; expected <host path>:<container path>, for example /srv/images:/config`),
    );
    return undefined;
  }
  const [host = '', container = host, , ...rest] = value.split(':');
  if (rest.length > 0 || !host.startsWith('/') || !container.startsWith('/') || container === '/') {
    findings.push(
      problem(`is ${JSON.stringify(value)}; expected two absolute paths, for example /srv/images:/config`),
    );
    return undefined;
  }
  return { host: host.replace(/(.)\/+$/, '$1'), container: join(container).replace(/(.)\/+$/, '$1') };
}

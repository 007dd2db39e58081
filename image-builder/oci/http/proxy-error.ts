// What is wrong with a proxy, in the user's words. Its URL may hold a login: only the host is named.

import { RegistryError } from './registry-error.ts';

/** The proxy answers a CONNECT with something else than success (RFC 9110, 9.3.6). @param authority `host:port` */
export function proxyRefuses(proxy: URL, authority: string, status: number | undefined): RegistryError {
  const code = status === 407 ? 'UNAUTHORIZED' : 'NETWORK';
  return new RegistryError(
    code,
    `the proxy ${proxy.host} refuses to connect to ${authority}: HTTP ${status}`,
    {
      ...(status && { status }),
      hint: 'Check HTTPS_PROXY (with user and password if required) and NO_PROXY.',
    },
  );
}

/** The proxy itself cannot be reached. */
export function proxyUnusable(proxy: URL, cause: Error): RegistryError {
  return new RegistryError('NETWORK', `cannot use the proxy ${proxy.host}: ${cause.message}`, { cause });
}

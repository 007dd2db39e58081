// Connections by TLS, direct and through a proxy. Loaded when there is one only: node:tls takes its time.

import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import { RegistryError } from '../error.ts';
import { READ_AHEAD_BYTES, type TlsSettings } from './connection.ts';
import { proxyAuthorization } from './proxy.ts';

/**
 * The pool of connections to one host.
 * @param timeout of connecting to the proxy, milliseconds
 */
export function secureAgent(settings: TlsSettings, proxy: URL | undefined, timeout: number): https.Agent {
  const options = { ...tlsOptions(settings), highWaterMark: READ_AHEAD_BYTES };
  return proxy ? new TunnelAgent(proxy, options, timeout) : new DirectAgent({ keepAlive: true, ...options });
}

function tlsOptions(settings: TlsSettings): tls.ConnectionOptions {
  const ca = addedAuthorities(settings.ca ?? []);
  return {
    // Setting `ca` replaces Node's own list, so that has to be repeated.
    ...(ca.length > 0 && { ca: [...tls.rootCertificates, ...ca] }),
    ...(settings.cert && { cert: settings.cert }),
    ...(settings.key && { key: settings.key }),
    ...(settings.insecure && { ca: [], rejectUnauthorized: false }),
  };
}

/** The certificates that Node does not have. A copy of the system's whole bundle holds few of those, and each takes time. */
function addedAuthorities(ca: string[]): string[] {
  if (ca.length === 0) return [];
  const known = new Set(tls.rootCertificates.map(withoutBlanks));
  return ca
    .flatMap((pem) => pem.match(/-----BEGIN [^-]+-----[^-]+-----END [^-]+-----/g) ?? [pem])
    .filter((certificate) => !known.has(withoutBlanks(certificate)));
}

function withoutBlanks(text: string): string {
  return text.replace(/\s/g, '');
}

/**
 * Begins to connect before it makes the TLS settings: reading the certificate authorities (30 ms) goes on while the
 * network is on its way.
 */
class DirectAgent extends https.Agent {
  override createConnection(options: tls.ConnectionOptions) {
    const { host = '', port = 443 } = options;
    const socket = net.connect({ host, port, noDelay: true });
    const secure = tls.connect({ ...options, socket });
    socket.once('error', (error) => secure.destroy(error));
    return secure;
  }
}

/** TLS through a proxy's CONNECT (RFC 9110, 9.3.6). */
class TunnelAgent extends https.Agent {
  readonly #proxy: URL;
  readonly #timeout: number;

  constructor(proxy: URL, options: https.AgentOptions, timeout: number) {
    super({ keepAlive: true, ...options });
    this.#proxy = proxy;
    this.#timeout = timeout;
  }

  override createConnection(
    options: tls.ConnectionOptions,
    callback: (error: Error | null, socket: Duplex) => void,
  ) {
    const { host = '', port = 443 } = options;
    openTunnel(this.#proxy, host, Number(port), this.#timeout).then(
      (socket) => callback(null, tls.connect({ ...options, socket })),
      // On errors Node looks at nothing else.
      (error) => callback(error, undefined as unknown as Duplex),
    );
    // The socket comes by the callback.
    return undefined;
  }
}

function openTunnel(proxy: URL, host: string, port: number, timeout: number): Promise<net.Socket> {
  const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const authorization = proxyAuthorization(proxy);
  const secure = proxy.protocol === 'https:';
  return new Promise((resolve, reject) => {
    const request = (secure ? https : http).request({
      method: 'CONNECT',
      host: proxy.hostname.replace(/^\[|\]$/g, ''),
      port: proxy.port || (secure ? 443 : 80),
      path: authority,
      agent: false,
      timeout,
      headers: { host: authority, ...(authorization && { 'proxy-authorization': authorization }) },
    });
    request.once('connect', (response, socket) => {
      if (response.statusCode === 200) return resolve(socket);
      socket.destroy();
      const code = response.statusCode === 407 ? 'UNAUTHORIZED' : 'NETWORK';
      reject(
        new RegistryError(
          code,
          `the proxy ${proxy.host} refuses to connect to ${authority}: HTTP ${response.statusCode}`,
          {
            ...(response.statusCode && { status: response.statusCode }),
            hint: 'Check HTTPS_PROXY (with user and password if it wants them) and NO_PROXY.',
          },
        ),
      );
    });
    request.once('timeout', () =>
      request.destroy(new RegistryError('TIMEOUT', `the proxy ${proxy.host} does not answer`)),
    );
    request.once('error', (cause) =>
      reject(
        cause instanceof RegistryError
          ? cause
          : new RegistryError('NETWORK', `cannot use the proxy ${proxy.host}: ${cause.message}`, { cause }),
      ),
    );
    request.end();
  });
}

// Connections by TLS, direct and through a proxy. Loaded only when there is one, since loading node:tls takes time.

import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import { READ_AHEAD_BYTES, type TlsSettings } from '../../oci/http/connection-settings.ts';
import { isUnknownAuthority } from '../../oci/http/network-error.ts';
import { proxyAuthorization } from '../../oci/http/proxy.ts';
import { proxyRefuses, proxyUnusable } from '../../oci/http/proxy-error.ts';
import { RegistryError } from '../../oci/http/registry-error.ts';

/**
 * The pool of connections to one host.
 * @param timeout of connecting to the proxy, milliseconds
 */
export function secureAgent(settings: TlsSettings, proxy: URL | undefined, timeout: number): https.Agent {
  const options = {
    keepAlive: true,
    highWaterMark: READ_AHEAD_BYTES,
    ...(settings.cert && { cert: settings.cert }),
    ...(settings.key && { key: settings.key }),
  };
  if (proxy) return new TunnelAgent(proxy, { ...options, ...trust(settings) }, timeout);
  return new DirectAgent(options, settings);
}

/** Which certificates are believed. */
function trust(settings: TlsSettings): Pick<tls.ConnectionOptions, 'ca' | 'rejectUnauthorized'> {
  if (settings.insecure) return { ca: [], rejectUnauthorized: false };
  const ca = addedAuthorities(settings.ca ?? []);
  // Setting `ca` replaces Node's own list, so that has to be repeated.
  return ca.length > 0 ? { ca: [...tls.rootCertificates, ...ca] } : {};
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
 * Straight to the host. Node's whole list of authorities takes 50 ms to set up; so a host with authorities of its own is
 * verified by those alone, and by all of them, over a new connection, only when they do not know its certificate.
 */
class DirectAgent extends https.Agent {
  readonly #settings: TlsSettings;
  readonly #handshakes = new Set<tls.TLSSocket>();
  #trust: ReturnType<typeof trust> | undefined;

  constructor(options: https.AgentOptions, settings: TlsSettings) {
    super(options);
    this.#settings = settings;
  }

  override createConnection(
    options: tls.ConnectionOptions,
    callback: (error: Error | null, socket: Duplex) => void,
  ) {
    const { hostCa = [], insecure } = this.#settings;
    const byAll = () => {
      this.#trust ??= trust(this.#settings);
      return connectTls({ ...options, ...this.#trust });
    };
    if (hostCa.length === 0 || insecure) return byAll();
    const socket = connectTls({ ...options, ca: hostCa });
    this.#handshakes.add(socket);
    const failed = (error: NodeJS.ErrnoException) => {
      // Some errors are reported twice: by the connection below, and by the handshake.
      if (!this.#handshakes.delete(socket)) return;
      if (isUnknownAuthority(error)) callback(null, byAll());
      else callback(error, undefined as unknown as Duplex);
    };
    socket.on('error', failed);
    socket.once('secureConnect', () => {
      socket.off('error', failed);
      this.#handshakes.delete(socket);
      callback(null, socket);
    });
    // The socket comes by the callback.
    return undefined;
  }

  override destroy(): void {
    for (const socket of this.#handshakes) socket.destroy();
    super.destroy();
  }
}

/**
 * Begins to connect before it makes the TLS settings, so that the certificate authorities are read while the connection
 * is being made.
 */
function connectTls(options: tls.ConnectionOptions): tls.TLSSocket {
  const { host = '', port = 443 } = options;
  const socket = net.connect({ host, port, noDelay: true });
  const secure = tls.connect({ ...options, socket });
  socket.once('error', (error) => secure.destroy(error));
  return secure;
}

/** TLS through a proxy's CONNECT (RFC 9110, 9.3.6). */
class TunnelAgent extends https.Agent {
  readonly #proxy: URL;
  readonly #timeout: number;

  constructor(proxy: URL, options: https.AgentOptions, timeout: number) {
    super(options);
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
      reject(proxyRefuses(proxy, authority, response.statusCode));
    });
    request.once('timeout', () =>
      request.destroy(new RegistryError('TIMEOUT', `the proxy ${proxy.host} does not answer`)),
    );
    request.once('error', (cause) =>
      reject(cause instanceof RegistryError ? cause : proxyUnusable(proxy, cause)),
    );
    request.end();
  });
}

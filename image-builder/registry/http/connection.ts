// Connections: plain, TLS, and both through a proxy. One pool (agent) per client, scheme, proxy and TLS settings.

import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import { RegistryError } from '../error.ts';
import { speaksPlainHttp } from './network-error.ts';
import { type Environment, proxyFor } from './proxy.ts';

/** TLS settings of one registry host, contents in PEM. */
export interface TlsSettings {
  /** Certificate authorities beside the system's. */
  ca?: string[];
  cert?: string;
  key?: string;
  /** Whether any server certificate will do. */
  insecure?: boolean;
}

/** How to send a request to a URL. */
export interface Route {
  agent: http.Agent;
  /** Options for `http.request`: where to connect and what to ask for. */
  options: http.RequestOptions;
  /** Sends by TLS. */
  secure: boolean;
}

/** Keeps connections open between requests. `close` ends them. */
export class Connections {
  readonly #environment: Environment;
  readonly #tlsFor: (host: string) => Promise<TlsSettings>;
  readonly #connectTimeout: number;
  readonly #agents = new Map<string, http.Agent>();

  /**
   * @param tlsFor TLS settings of a `host[:port]`
   * @param connectTimeout milliseconds
   */
  constructor(
    environment: Environment,
    tlsFor: (host: string) => Promise<TlsSettings>,
    connectTimeout: number,
  ) {
    this.#environment = environment;
    this.#tlsFor = tlsFor;
    this.#connectTimeout = connectTimeout;
  }

  /** The route to a URL. @throws RegistryError CONFIGURATION */
  async route(url: URL): Promise<Route> {
    const secure = url.protocol === 'https:';
    const proxy = proxyFor(url, this.#environment);
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const target = { host, port: url.port || (secure ? 443 : 80) };
    const path = `${url.pathname}${url.search}`;
    if (secure) return { secure, agent: await this.#secureAgent(url, proxy), options: { ...target, path } };
    if (!proxy)
      return {
        secure,
        agent: this.#agent('http', () => new http.Agent({ keepAlive: true })),
        options: { ...target, path },
      };
    return this.#plainThroughProxy(url, proxy);
  }

  /**
   * Whether a host that no proxy leads to speaks TLS, found out by a handshake whose certificate is not looked at;
   * nothing is sent. A failure of any other kind is left for the request to meet: the answer is true then.
   */
  speaksTls(url: URL): Promise<boolean> {
    return new Promise((resolve) => {
      const host = url.hostname.replace(/^\[|\]$/g, '');
      // Without authorities: to read their list takes longer than a whole exchange with a local registry.
      const socket = tls.connect({ host, port: Number(url.port || 443), ca: [], rejectUnauthorized: false });
      const finish = (answer: boolean) => {
        socket.destroy();
        resolve(answer);
      };
      socket.once('secureConnect', () => finish(true));
      socket.once('error', (error) => finish(!speaksPlainHttp(error)));
      socket.setTimeout(this.#connectTimeout, () => finish(true));
    });
  }

  close(): void {
    for (const agent of this.#agents.values()) agent.destroy();
    this.#agents.clear();
  }

  /** Plain HTTP through a proxy: the proxy gets the whole URL (RFC 9112, 3.2.2). */
  #plainThroughProxy(url: URL, proxy: URL): Route {
    const secure = proxy.protocol === 'https:';
    const agent = this.#agent(`proxy ${proxy.href}`, () =>
      secure ? new https.Agent({ keepAlive: true }) : new http.Agent({ keepAlive: true }),
    );
    const authorization = proxyAuthorization(proxy);
    return {
      secure,
      agent,
      options: {
        host: proxy.hostname.replace(/^\[|\]$/g, ''),
        port: proxy.port || (secure ? 443 : 80),
        path: url.href,
        ...(authorization && { headers: { 'proxy-authorization': authorization } }),
      },
    };
  }

  async #secureAgent(url: URL, proxy: URL | undefined): Promise<http.Agent> {
    const key = `https ${url.host} ${proxy?.href ?? ''}`;
    const known = this.#agents.get(key);
    if (known) return known;
    const settings = await this.#tlsFor(url.host);
    const options = tlsOptions(settings);
    return this.#agent(key, () =>
      proxy
        ? new TunnelAgent(proxy, options, this.#connectTimeout)
        : new DirectAgent({ keepAlive: true, ...options }),
    );
  }

  #agent(key: string, create: () => http.Agent): http.Agent {
    const known = this.#agents.get(key);
    if (known) return known;
    const agent = create();
    this.#agents.set(key, agent);
    return agent;
  }
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

function proxyAuthorization(proxy: URL): string | undefined {
  if (proxy.username === '') return undefined;
  const pair = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return `Basic ${Buffer.from(pair).toString('base64')}`;
}

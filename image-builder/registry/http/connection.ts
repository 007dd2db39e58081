// Connections: plain, TLS, and both through a proxy. One pool (agent) per client, scheme, proxy and TLS settings.

import http from 'node:http';
import https from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import { RegistryError } from '../error.ts';
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
        : new https.Agent({ keepAlive: true, ...options }),
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
  return {
    // Setting `ca` replaces Node's own list, so that has to be repeated.
    ...(settings.ca?.length && { ca: [...tls.rootCertificates, ...settings.ca] }),
    ...(settings.cert && { cert: settings.cert }),
    ...(settings.key && { key: settings.key }),
    ...(settings.insecure && { rejectUnauthorized: false }),
  };
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

function openTunnel(proxy: URL, host: string, port: number, timeout: number): Promise<Socket> {
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

// Connections: plain, TLS, and both through a proxy. One pool (agent) per client, scheme, proxy and TLS settings.

import http from 'node:http';
import type { Env } from '../../base/env.ts';
import { READ_AHEAD_BYTES, type TlsSettings } from '../../oci/http/connection-settings.ts';
import { proxyAuthorization, proxyFor } from '../../oci/http/proxy.ts';

/** Node passes what is for the stream on to the socket, though its types do not say so. */
const PLAIN_OPTIONS = { keepAlive: true, readableHighWaterMark: READ_AHEAD_BYTES };

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
  readonly #environment: Env;
  readonly #tlsFor: (host: string) => Promise<TlsSettings>;
  readonly #connectTimeout: number;
  readonly #agents = new Map<string, http.Agent>();

  /**
   * @param tlsFor TLS settings of a `host[:port]`
   * @param connectTimeout milliseconds
   */
  constructor(environment: Env, tlsFor: (host: string) => Promise<TlsSettings>, connectTimeout: number) {
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
        agent: this.#agent('http', () => new http.Agent(PLAIN_OPTIONS)),
        options: { ...target, path },
      };
    return this.#plainThroughProxy(url, proxy);
  }

  /** Whether a host that no proxy leads to speaks TLS. Asked with nothing of the request, and without node:tls. */
  async speaksTls(url: URL, signal?: AbortSignal): Promise<boolean> {
    const { speaksTls } = await import('./tls-probe.ts');
    const host = url.hostname.replace(/^\[|\]$/g, '');
    return speaksTls(host, Number(url.port || 443), this.#connectTimeout, signal);
  }

  close(): void {
    for (const agent of this.#agents.values()) agent.destroy();
    this.#agents.clear();
  }

  /** Plain HTTP through a proxy: the proxy gets the whole URL (RFC 9112, 3.2.2). */
  async #plainThroughProxy(url: URL, proxy: URL): Promise<Route> {
    const secure = proxy.protocol === 'https:';
    const Agent = secure ? (await import('node:https')).Agent : http.Agent;
    const agent = this.#agent(`proxy ${proxy.href}`, () => new Agent(PLAIN_OPTIONS));
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
    const { secureAgent } = await import('./secure-agent.ts');
    return this.#agent(key, () => secureAgent(settings, proxy, this.#connectTimeout));
  }

  #agent(key: string, create: () => http.Agent): http.Agent {
    const known = this.#agents.get(key);
    if (known) return known;
    const agent = create();
    this.#agents.set(key, agent);
    return agent;
  }
}

// Which proxy a request goes through: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, read as curl and Go read them.
// Node 20 and 22 ignore these variables.

import type { Env } from '../../base/env.ts';
import { RegistryError } from './registry-error.ts';

/**
 * The proxy for a URL, or undefined. Loopback is never reached through a proxy.
 * @throws RegistryError CONFIGURATION when the variable is no http: or https: URL
 */
export function proxyFor(url: URL, environment: Env): URL | undefined {
  const value = (name: string) =>
    environment[name.toLowerCase()] || environment[name.toUpperCase()] || undefined;
  // Upper-case HTTP_PROXY can be set by a client of a CGI program ("httpoxy"), therefore Go and curl ignore it there.
  const http = environment.REQUEST_METHOD ? environment.http_proxy : value('http_proxy');
  const proxy = (url.protocol === 'https:' ? value('https_proxy') : http) ?? value('all_proxy');
  if (!proxy || isLoopback(url.hostname) || bypasses(url, value('no_proxy') ?? '')) return undefined;
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(proxy) ? proxy : `http://${proxy}`;
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
    // The value may hold a password: it is not repeated.
    throw new RegistryError(
      'CONFIGURATION',
      'the proxy variable of the environment is not an http:// or https:// URL',
      {
        hint: 'SOCKS proxies are not supported; set HTTPS_PROXY to http://host:port.',
      },
    );
  }
  return new URL(text);
}

/** The Proxy-Authorization header for a proxy whose URL has a login. */
export function proxyAuthorization(proxy: URL): string | undefined {
  if (proxy.username === '') return undefined;
  const pair = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return `Basic ${Buffer.from(pair).toString('base64')}`;
}

/** Whether a host is this machine itself. */
export function isLoopback(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '').toLowerCase();
  return (
    host === 'localhost' ||
    host.endsWith('.localhost') ||
    host === '::1' ||
    (familyOf(host) === 4 && host.startsWith('127.'))
  );
}

function bypasses(url: URL, noProxy: string): boolean {
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  return noProxy
    .split(/[\s,]+/)
    .filter((rule) => rule !== '')
    .some((rule) => matchesRule(rule.toLowerCase(), host, port));
}

function matchesRule(rule: string, host: string, port: string): boolean {
  if (rule === '*') return true;
  if (rule.includes('/')) return inNetwork(host, rule);
  const { name, rulePort } = splitPort(rule);
  if (rulePort !== undefined && rulePort !== port) return false;
  if (familyOf(name)) return name === host;
  const suffix = name.replace(/^\*?\./, '');
  if (name.startsWith('.') || name.startsWith('*.'))
    return host.endsWith(`.${suffix}`) || (!name.startsWith('*.') && host === suffix);
  return host === suffix || host.endsWith(`.${suffix}`);
}

function splitPort(rule: string): { name: string; rulePort?: string } {
  const bracketed = /^\[(.+)\](?::(\d+))?$/.exec(rule);
  if (bracketed?.[1]) return { name: bracketed[1], ...(bracketed[2] && { rulePort: bracketed[2] }) };
  if (familyOf(rule)) return { name: rule };
  const plain = /^(.*):(\d+)$/.exec(rule);
  return plain?.[1] !== undefined && plain[2] ? { name: plain[1], rulePort: plain[2] } : { name: rule };
}

/** CIDR notation, both address families. */
function inNetwork(host: string, rule: string): boolean {
  const [network = '', bits = ''] = rule.split('/');
  const [address, base] = [bytesOf(host), bytesOf(network)];
  if (!address || !base || address.length !== base.length || !/^\d+$/.test(bits)) return false;
  const length = Math.min(Number(bits), address.length * 8);
  for (let bit = 0; bit < length; bit++) {
    const mask = 0x80 >> (bit & 7);
    if (((address[bit >> 3] ?? 0) & mask) !== ((base[bit >> 3] ?? 0) & mask)) return false;
  }
  return true;
}

/** Family of an address; undefined for a name. Loading node:net for it takes a tenth of a short run. */
function familyOf(host: string): 4 | 6 | undefined {
  if (/^\d{1,3}(?:\.\d{1,3}){3}$/.test(host))
    return host.split('.').every((part) => Number(part) < 256) ? 4 : undefined;
  return /^[\da-f:.]*:[\da-f:.]*$/.test(host) && URL.canParse(`http://[${host}]`) ? 6 : undefined;
}

function bytesOf(address: string): number[] | undefined {
  const family = familyOf(address);
  if (family === 4) return address.split('.').map(Number);
  if (family !== 6) return undefined;
  const [head = '', tail] = address.split('::');
  const words = (text: string) => (text === '' ? [] : text.split(':'));
  const [front, back] = [words(head), words(tail ?? '')];
  const middle =
    tail === undefined ? [] : Array<string>(Math.max(0, 8 - front.length - back.length)).fill('0');
  return [...front, ...middle, ...back].flatMap((word) => {
    const value = Number.parseInt(word, 16);
    return [value >> 8, value & 0xff];
  });
}

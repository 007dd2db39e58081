// Downloads one file from an address that a person has named: by https, from that host and no other.
import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { DEFAULT_LIMITS, HttpClient } from './client.ts';
import { RegistryError } from './registry-error.ts';
import type { Transport } from './transport.ts';

/**
 * @param address https; a login in it is sent to its host, and shown nowhere
 * @param file where it goes
 * @param limit refused above this size, in bytes
 * @throws RegistryError
 */
export async function download(
  address: URL,
  file: string,
  { transport, limit, signal }: { transport: Transport; limit: number; signal: AbortSignal },
): Promise<void> {
  const http = new HttpClient(
    transport,
    { requests: 0, bytes: 0 },
    { ...DEFAULT_LIMITS, redirects: 0 },
    signal,
  );
  const url = new URL(address);
  const login = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  [url.username, url.password] = ['', ''];
  const headers = login === ':' ? {} : { authorization: `Basic ${Buffer.from(login).toString('base64')}` };
  const response = await http.send({ method: 'GET', url, headers });
  if (response.status !== 200) {
    response.body.destroy();
    throw new RegistryError(
      response.status === 404 ? 'NOT_FOUND' : 'SERVER',
      `${url.host} answers ${response.status} for ${url.pathname}`,
      {
        status: response.status,
      },
    );
  }
  let bytes = 0;
  const bounded = async function* () {
    for await (const part of http.body(response)) {
      bytes += part.length;
      if (bytes > limit) throw new RegistryError('TOO_LARGE', `${url.host} sends more than ${limit} bytes`);
      yield part;
    }
  };
  await pipeline(Readable.from(bounded()), createWriteStream(file, { mode: 0o600 }), { signal });
}

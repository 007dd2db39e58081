// Images in a registry, or in one of its mirrors.

import { type Digest, digestOf, isDigest } from '../digest.ts';
import type { DistributionClient } from '../distribution.ts';
import { RegistryError } from '../error.ts';
import { type HttpClient, type HttpResponse, readBody } from '../http/client.ts';
import { networkError } from '../http/network-error.ts';
import type { ByteRange, ImageSource, Root } from '../image-source.ts';
import { type Descriptor, MANIFEST_LIMIT_BYTES } from '../manifest.ts';
import { ACCEPT_MANIFESTS } from '../media-types.ts';
import { formatReference, type RegistryReference } from '../reference.ts';
import { BlobCursor } from './blob-cursor.ts';

/** Reads one image. Mirrors come first in `clients`, the registry itself last. */
export class RegistrySource implements ImageSource {
  readonly name: string;
  readonly warnings: string[] = [];
  readonly #reference: RegistryReference;
  readonly #clients: DistributionClient[];
  readonly #http: HttpClient;
  readonly #signal: AbortSignal | undefined;
  readonly #cursors = new Map<Digest, BlobCursor>();

  constructor(
    reference: RegistryReference,
    clients: DistributionClient[],
    http: HttpClient,
    signal?: AbortSignal,
  ) {
    this.#reference = reference;
    this.#clients = clients;
    this.#http = http;
    this.#signal = signal;
    this.name = formatReference(reference);
  }

  get cost() {
    return this.#http.cost;
  }

  async currentDigest(): Promise<Digest | undefined> {
    const { digest, tag } = this.#reference;
    if (digest || !tag) return digest;
    const headers = { accept: ACCEPT_MANIFESTS };
    const response = await this.#anywhere(
      (client) => client.request(`manifests/${tag}`, { method: 'HEAD', headers }, [200], this.name),
      true,
    );
    response.body.resume();
    return headerDigest(response);
  }

  async root(): Promise<Root> {
    const { tag, digest } = this.#reference;
    if (tag === undefined) return this.#fetchManifest(digest ?? '', digest);
    if (digest === undefined) return this.#fetchManifest(tag, undefined);
    // Asking by the tag tells both: usually it still stands for the digest, and one request does.
    const tagged = await this.#fetchManifest(tag, undefined).catch((error) => {
      if (error instanceof RegistryError && error.code === 'NOT_FOUND') return undefined;
      throw error;
    });
    if (tagged?.descriptor.digest === digest) return tagged;
    const now = tagged ? `now stands for ${tagged.descriptor.digest}` : 'no longer exists';
    this.warnings.push(
      `the tag ${tag} of ${this.#reference.registry}/${this.#reference.repository} ${now}; ${digest} was used, as the reference says`,
    );
    return this.#fetchManifest(digest, digest);
  }

  async manifest(descriptor: Descriptor): Promise<Buffer> {
    return (await this.#fetchManifest(descriptor.digest, descriptor.digest)).content;
  }

  /** The whole blob. A connection that breaks is taken up again where it ended. */
  async *blob(descriptor: Descriptor): AsyncGenerator<Uint8Array> {
    let offset = 0;
    for (let attempt = 0; ; ) {
      const before = offset;
      try {
        for await (const chunk of this.#body(descriptor, offset)) {
          offset += chunk.length;
          yield chunk;
        }
        if (offset >= descriptor.size) return;
        throw new RegistryError(
          'NETWORK',
          `${this.name}: a blob ended after ${offset} of ${descriptor.size} bytes`,
        );
      } catch (error) {
        // Progress renews the patience: a large blob over a bad line may break many times.
        attempt = offset > before ? 0 : attempt + 1;
        if (attempt >= this.#http.retries || !isBroken(error)) throw error;
        await this.#http.pause(attempt);
      }
    }
  }

  readonly range = async (descriptor: Descriptor, part: ByteRange): Promise<Buffer> => {
    // A registry that ignored a range has sent everything: what follows is taken from the same answer.
    const open = this.#cursors.get(descriptor.digest);
    if (open && open.position <= part.start) return open.read(part);
    const { response, partial } = await this.#open(descriptor, part.start, part.length);
    if (partial) {
      const content = await readBody(response, part.length, this.#signal);
      if (content.length < Math.min(part.length, descriptor.size - part.start)) {
        throw new RegistryError('NETWORK', `${this.name}: a range of a blob was cut off`);
      }
      return content;
    }
    await open?.close();
    const cursor = new BlobCursor(response);
    this.#cursors.set(descriptor.digest, cursor);
    return cursor.read(part);
  };

  async close(): Promise<void> {
    for (const cursor of this.#cursors.values()) await cursor.close();
    this.#http.close();
  }

  async *#body(descriptor: Descriptor, offset: number): AsyncGenerator<Uint8Array> {
    const { response, partial } = await this.#open(descriptor, offset);
    let skip = partial ? 0 : offset;
    try {
      for await (const chunk of response.body as AsyncIterable<Buffer>) {
        if (skip >= chunk.length) {
          skip -= chunk.length;
          continue;
        }
        yield skip > 0 ? chunk.subarray(skip) : chunk;
        skip = 0;
      }
    } catch (error) {
      throw networkError(error, response.url, this.#signal);
    } finally {
      response.body.destroy();
    }
  }

  /** Asks for a blob from an offset on. `partial` tells whether the answer really begins there. */
  async #open(
    descriptor: Descriptor,
    start: number,
    length?: number,
  ): Promise<{ response: HttpResponse; partial: boolean }> {
    const wholeBlob = start === 0 && length === undefined;
    const last = length === undefined ? '' : String(start + length - 1);
    const headers = wholeBlob ? {} : { range: `bytes=${start}-${last}` };
    const response = await this.#anywhere((client) =>
      client.request(
        `blobs/${descriptor.digest}`,
        { method: 'GET', headers },
        [200, 206],
        `blob ${descriptor.digest}`,
      ),
    );
    if (response.status === 200) return { response, partial: start === 0 && length === undefined };
    if (!answersRange(response.headers['content-range'], start)) {
      response.body.destroy();
      throw new RegistryError(
        'SERVER',
        `${response.url.host} answers another range of a blob than was asked for`,
      );
    }
    return { response, partial: true };
  }

  async #fetchManifest(reference: string, expected: Digest | undefined): Promise<Root> {
    const what = `${this.#reference.repository}${expected ? '@' : ':'}${reference}`;
    const response = await this.#anywhere(
      (client) =>
        client.request(
          `manifests/${reference}`,
          { method: 'GET', headers: { accept: ACCEPT_MANIFESTS } },
          [200],
          what,
        ),
      expected === undefined,
    );
    const content = await readBody(response, MANIFEST_LIMIT_BYTES, this.#signal);
    const announced = headerDigest(response);
    const algorithm = (expected ?? announced)?.startsWith('sha512') ? 'sha512' : 'sha256';
    const digest = digestOf(content, algorithm);
    if (expected !== undefined && digest !== expected) throw mismatch(what, expected, digest);
    if (expected === undefined && announced !== undefined && digest !== announced)
      throw mismatch(what, announced, digest);
    const mediaType = (response.headers['content-type'] ?? '').split(';')[0]?.trim() ?? '';
    return { descriptor: { mediaType, digest, size: content.length }, content };
  }

  /** Asks the mirrors in order, then the registry, whose error counts. */
  async #anywhere(
    ask: (client: DistributionClient) => Promise<HttpResponse>,
    byTag = false,
  ): Promise<HttpResponse> {
    const clients = this.#clients.filter(({ endpoint }) => !(byTag && endpoint.digestsOnly));
    for (const [index, client] of clients.entries()) {
      try {
        return await ask(client);
      } catch (error) {
        if (index === clients.length - 1 || (error instanceof RegistryError && error.code === 'CANCELLED'))
          throw error;
      }
    }
    throw new RegistryError('CONFIGURATION', `${this.name}: no endpoint may be asked`);
  }
}

function headerDigest(response: HttpResponse): Digest | undefined {
  const value = response.headers['docker-content-digest'];
  return typeof value === 'string' && isDigest(value) ? value : undefined;
}

function answersRange(header: string | undefined, start: number): boolean {
  const match = /^bytes (\d+)-/.exec(header ?? '');
  return match !== null && Number(match[1]) === start;
}

function isBroken(error: unknown): boolean {
  return error instanceof RegistryError && (error.code === 'NETWORK' || error.code === 'TIMEOUT');
}

function mismatch(what: string, expected: string, actual: string): RegistryError {
  return new RegistryError(
    'DIGEST_MISMATCH',
    `the manifest of ${what} has the digest ${actual}, not the promised ${expected}`,
    {
      hint: 'The registry or a proxy returned damaged or forged content; nothing of it was used.',
    },
  );
}

// Images in a registry, or in one of its mirrors.

import { type Digest, digestOf, isDigest } from '../digest.ts';
import type { DistributionClient } from '../distribution/repository-client.ts';
import { type HttpClient, isBroken, LEAST_PROGRESS_BYTES } from '../http/client.ts';
import { networkError } from '../http/network-error.ts';
import { RegistryError } from '../http/registry-error.ts';
import type { HttpResponse } from '../http/transport.ts';
import type { ByteRange, ImageSource, Root } from '../image-source.ts';
import { MANIFEST_LIMIT_BYTES } from '../manifest.ts';
import { ACCEPT_MANIFESTS } from '../media-types.ts';
import type { Descriptor } from '../model.ts';
import { formatReference, type RegistryReference } from '../reference.ts';
import { BlobCursor } from './blob-cursor.ts';

/** Reads one image. Mirrors come first in `clients`, the registry itself last. */
export class RegistrySource implements ImageSource {
  readonly name: string;
  readonly warnings: string[] = [];
  readonly resumable = true;
  /** See {@link ImageSource.ignoresRanges}. */
  ignoresRanges = false;
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
    const now = tagged ? `now refers to ${tagged.descriptor.digest}` : 'no longer exists';
    this.warnings.push(
      `the tag ${tag} of ${this.#reference.registry}/${this.#reference.repository} ${now}; ${digest} was used, as the reference requires`,
    );
    return this.#fetchManifest(digest, digest);
  }

  async manifest(descriptor: Descriptor): Promise<Buffer> {
    return (await this.#fetchManifest(descriptor.digest, descriptor.digest)).content;
  }

  /** The whole blob. A connection that breaks is resumed where it ended. */
  async *blob(descriptor: Descriptor, start = 0): AsyncGenerator<Uint8Array> {
    let offset = start;
    for (let attempt = 0; offset < descriptor.size || offset === 0; attempt++) {
      const before = offset;
      const answer = await this.#open(descriptor, offset);
      try {
        for await (const chunk of this.#bodyFrom(answer, offset)) {
          offset += chunk.length;
          yield chunk;
        }
        if (offset >= descriptor.size) return;
        throw brokenOff(this.name, offset, descriptor.size);
      } catch (error) {
        // Progress renews the patience: a large blob over a bad line may break many times. A byte is none.
        if (offset - before >= LEAST_PROGRESS_BYTES) attempt = 0;
        if (attempt >= this.#http.retries || !isBroken(error)) throw error;
        await this.#http.pause(attempt);
      }
    }
  }

  readonly range = async (descriptor: Descriptor, part: ByteRange): Promise<Buffer> => {
    const length = Math.min(part.length, descriptor.size - part.start);
    for (let attempt = 0; ; attempt++) {
      const cursor = this.#cursors.get(descriptor.digest);
      // A registry that ignored a range has sent everything: what follows is taken from the same answer.
      const isAhead = cursor !== undefined && cursor.position <= part.start;
      const answer = isAhead ? undefined : await this.#open(descriptor, part.start, length);
      try {
        const content = answer?.partial
          ? await this.#http.read(answer.response, length)
          : await this.#fromCursor(descriptor, answer?.response, { start: part.start, length });
        if (content.length >= length) return content;
        throw brokenOff(this.name, part.start + content.length, part.start + length);
      } catch (error) {
        await this.#dropCursor(descriptor.digest);
        if (attempt >= this.#http.retries || !isBroken(error)) throw error;
        await this.#http.pause(attempt);
      }
    }
  };

  /** A mirror that has nothing proves nothing: the registry itself is asked as well. */
  async *referrers(digest: Digest): AsyncGenerator<Descriptor> {
    const { listReferrers } = await import('../referrers/list.ts');
    const seen = new Set<Digest>();
    for (const [index, client] of this.#clients.entries()) {
      try {
        for await (const descriptor of listReferrers(client, digest)) {
          if (!seen.has(descriptor.digest)) yield descriptor;
          seen.add(descriptor.digest);
        }
      } catch (error) {
        if (index === this.#clients.length - 1 || !(error instanceof RegistryError)) throw error;
      }
    }
  }

  async close(): Promise<void> {
    for (const digest of [...this.#cursors.keys()]) await this.#dropCursor(digest);
    this.#http.close();
  }

  /** Reads from a whole blob that is on its way; a new answer begins it anew. */
  async #fromCursor(
    descriptor: Descriptor,
    response: HttpResponse | undefined,
    part: ByteRange,
  ): Promise<Buffer> {
    if (response) {
      await this.#dropCursor(descriptor.digest);
      this.#cursors.set(
        descriptor.digest,
        new BlobCursor(response.url, this.#http.body(response), this.#signal),
      );
    }
    return (await this.#cursors.get(descriptor.digest)?.read(part)) ?? Buffer.alloc(0);
  }

  async #dropCursor(digest: Digest): Promise<void> {
    await this.#cursors.get(digest)?.close();
    this.#cursors.delete(digest);
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
    const ask = (wanted: Record<string, string>, accept: number[]) =>
      this.#anywhere((client) =>
        client.request(
          `blobs/${descriptor.digest}`,
          { method: 'GET', headers: wanted },
          accept,
          `blob ${descriptor.digest}`,
        ),
      );
    let response = await ask(headers, [200, 206, 416]);
    if (response.status === 416) {
      // The range lies in the blob: this server has no ranges at all.
      response.body.resume();
      response = await ask({}, [200]);
    }
    if (response.status === 200) {
      this.ignoresRanges ||= !wholeBlob;
      return { response, partial: wholeBlob };
    }
    if (!answersRange(response.headers['content-range'], start)) {
      response.body.destroy();
      throw new RegistryError(
        'SERVER',
        `${response.url.host} returned a different range of a blob than requested`,
      );
    }
    return { response, partial: true };
  }

  /** The body of an answer from an offset of the blob on; a registry that ignores ranges begins at the start. */
  async *#bodyFrom(
    { response, partial }: { response: HttpResponse; partial: boolean },
    offset: number,
  ): AsyncGenerator<Uint8Array> {
    let skip = partial ? 0 : offset;
    try {
      for await (const chunk of this.#http.body(response)) {
        if (chunk.length > skip) yield skip > 0 ? chunk.subarray(skip) : chunk;
        skip = Math.max(0, skip - chunk.length);
      }
    } catch (error) {
      throw networkError(error, response.url, this.#signal);
    } finally {
      response.body.destroy();
    }
  }

  async #fetchManifest(reference: string, expected: Digest | undefined): Promise<Root> {
    const what = `${this.#reference.repository}${expected ? '@' : ':'}${reference}`;
    const request = { method: 'GET', headers: { accept: ACCEPT_MANIFESTS } } as const;
    return this.#anywhere(async (client) => {
      const { response, content } = await client.fetch(
        `manifests/${reference}`,
        request,
        [200],
        what,
        () => MANIFEST_LIMIT_BYTES,
      );
      const promised = expected ?? headerDigest(response);
      const digest = digestOf(content, promised?.startsWith('sha512') ? 'sha512' : 'sha256');
      if (promised !== undefined && digest !== promised) throw mismatch(what, promised, digest);
      const mediaType = (response.headers['content-type'] ?? '').split(';')[0]?.trim() ?? '';
      return { descriptor: { mediaType, digest, size: content.length }, content };
    }, expected === undefined);
  }

  /** Asks the mirrors in order, then the registry, whose error counts; what the mirrors said is told with it. */
  async #anywhere<T>(ask: (client: DistributionClient) => Promise<T>, byTag = false): Promise<T> {
    const clients = this.#clients.filter(({ endpoint }) => !(byTag && endpoint.digestsOnly));
    const mirrors: string[] = [];
    for (const [index, client] of clients.entries()) {
      try {
        return await ask(client);
      } catch (error) {
        if (!(error instanceof RegistryError)) throw error;
        if (index === clients.length - 1) throw withMirrors(error, mirrors);
        mirrors.push(`the mirror ${client.endpoint.host}: ${error.message}`);
      }
    }
    throw new RegistryError('CONFIGURATION', `${this.name}: no endpoint may be used`);
  }
}

/** The error of a registry, with what its mirrors have said before. */
function withMirrors(error: RegistryError, mirrors: readonly string[]): RegistryError {
  if (mirrors.length === 0) return error;
  const { code, message, cause, hint, status } = error;
  return new RegistryError(code, message, {
    ...(cause !== undefined && { cause }),
    ...(hint !== undefined && { hint }),
    ...(status !== undefined && { status }),
    output: [...(error.output ?? []), ...mirrors],
  });
}

function headerDigest(response: HttpResponse): Digest | undefined {
  const value = response.headers['docker-content-digest'];
  return typeof value === 'string' && isDigest(value) ? value : undefined;
}

function answersRange(header: string | undefined, start: number): boolean {
  const match = /^bytes (\d+)-/.exec(header ?? '');
  return match !== null && Number(match[1]) === start;
}

function brokenOff(name: string, offset: number, size: number): RegistryError {
  return new RegistryError('NETWORK', `${name}: a blob ended after ${offset} of ${size} bytes`);
}

function mismatch(what: string, expected: string, actual: string): RegistryError {
  return new RegistryError(
    'DIGEST_MISMATCH',
    `the manifest of ${what} has digest ${actual}, expected ${expected}`,
    {
      hint: 'The registry or a proxy returned damaged or forged content; nothing of it was used.',
    },
  );
}

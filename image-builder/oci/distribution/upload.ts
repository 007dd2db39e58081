// Uploads one blob (OCI distribution-spec v1.1, "Pushing blobs"): not at all when the repository has it, by mounting it
// from another repository of the registry, or in chunks that are resumed where the registry says it stands.

import type { Digest } from '../digest.ts';
import { isBroken } from '../http/client.ts';
import { RegistryError } from '../http/registry-error.ts';
import type { HttpRequest, HttpResponse } from '../http/transport.ts';
import type { DistributionClient } from './repository-client.ts';

/** A blob to upload. */
export interface BlobContent {
  digest: Digest;
  /** Bytes. */
  size: number;
  /** The blob's bytes from `start` on; asked for again after a failure. */
  read(start: number, length: number): AsyncIterable<Uint8Array>;
}

/** What became of a blob. */
export type UploadOutcome = 'present' | 'mounted' | 'uploaded';

export interface UploadOptions {
  /** Repositories of the same registry that may have the blob. */
  mountFrom?: readonly string[];
  /** Called with the bytes that the registry has accepted. May go back when an upload starts over. */
  onProgress?: (done: number) => void;
}

/**
 * What is lost at most when a connection breaks. Some proxies in front of registries take requests of no more than
 * 100 MB.
 */
const CHUNK_BYTES = 32 * 1024 * 1024;
const OCTETS = { 'content-type': 'application/octet-stream' };

/**
 * Makes sure that the repository has the blob.
 * @throws RegistryError DIGEST_MISMATCH when the registry found other content than the digest promises; those of
 * {@link DistributionClient.request}
 */
export async function uploadBlob(
  client: DistributionClient,
  blob: BlobContent,
  options: UploadOptions = {},
): Promise<UploadOutcome> {
  if (await hasBlob(client, blob.digest)) return 'present';
  for (const repository of options.mountFrom ?? []) {
    if (await mountBlob(client, blob.digest, repository)) return 'mounted';
  }
  const upload = new Upload(client, blob, options.onProgress ?? (() => {}));
  await upload.run();
  return 'uploaded';
}

/** Whether the repository has the blob. */
export async function hasBlob(client: DistributionClient, digest: Digest): Promise<boolean> {
  const request = { method: 'HEAD' as const };
  const response = await client.request(`blobs/${digest}`, request, [200, 404], `blob ${digest}`);
  response.body.resume();
  return response.status === 200;
}

/** Mounts a blob of another repository of the registry. Registries may refuse without a reason. */
export async function mountBlob(client: DistributionClient, digest: Digest, from: string): Promise<boolean> {
  const query = new URLSearchParams({ mount: digest, from });
  const request = { method: 'POST' as const };
  let response: HttpResponse;
  try {
    response = await client.request(`blobs/uploads/?${query}`, request, [201, 202], `mounting ${digest}`);
  } catch (error) {
    // The credentials may be allowed to write here, but not to read there.
    if (isRefusal(error)) return false;
    throw error;
  }
  response.body.resume();
  if (response.status === 201) return true;
  await cancelUpload(client, response);
  return false;
}

/** 202 has started an upload that nobody needs. */
async function cancelUpload(client: DistributionClient, response: HttpResponse): Promise<void> {
  const location = locationOf(response);
  if (!location) return;
  const answer = await client
    .request(location, { method: 'DELETE' }, [204, 202, 404], 'an upload')
    .catch(() => undefined);
  answer?.body.resume();
}

class Upload {
  readonly #client: DistributionClient;
  readonly #blob: BlobContent;
  readonly #onProgress: (done: number) => void;
  /** Where the upload goes on; undefined: it has to begin. */
  #location: URL | undefined;
  /** Bytes that the registry has. */
  #offset = 0;
  /** The registry takes no chunks. */
  #whole = false;
  /** The registry has said where to go on. */
  #resumed = false;

  constructor(client: DistributionClient, blob: BlobContent, onProgress: (done: number) => void) {
    this.#client = client;
    this.#blob = blob;
    this.#onProgress = onProgress;
  }

  async run(): Promise<void> {
    let furthest = 0;
    for (let attempt = 0, again = false; ; attempt++, again = true) {
      try {
        if (again && (await this.#recover())) return;
        await this.#sendRest();
        return;
      } catch (error) {
        if (!this.#mayGoOn(error)) throw explain(error, this.#blob);
        // Progress renews the patience: a large blob over a bad line may break many times.
        if (this.#offset > furthest) attempt = 0;
        furthest = Math.max(furthest, this.#offset);
        if (!(await this.#client.pause(attempt))) throw error;
      }
    }
  }

  /** Finds out where the upload stands. @returns whether it is finished: only the answer was lost */
  async #recover(): Promise<boolean> {
    if (await hasBlob(this.#client, this.#blob.digest)) return true;
    const status = this.#location && (await this.#status(this.#location));
    this.#resumed = status !== undefined;
    if (!status) this.#location = undefined;
    this.#advance(status ?? 0);
    return false;
  }

  /** Whether an attempt may follow; prepares what it does otherwise. */
  #mayGoOn(error: unknown): boolean {
    if (mayPass(error)) return true;
    const isRefusedChunk = error instanceof RegistryError && (error.status === 405 || error.status === 501);
    const isPatchedUp = this.#resumed && isInvalid(error);
    if (!isPatchedUp && (!isRefusedChunk || this.#whole)) return false;
    // Some registries take a blob in one piece only, and some lose bytes when they are asked to go on.
    this.#whole ||= isRefusedChunk;
    this.#location = undefined;
    return true;
  }

  /** Bytes that the registry has of this upload; undefined if it no longer knows the upload. */
  async #status(location: URL): Promise<number | undefined> {
    try {
      const request = { method: 'GET' as const };
      const response = await this.#client.request(location, request, [204, 200, 202], 'an upload');
      response.body.resume();
      this.#location = locationOf(response) ?? location;
      const end = rangeEnd(response);
      // An empty upload and one of a byte look the same: begin again.
      return end && end <= this.#blob.size ? end : undefined;
    } catch (error) {
      // Registries that cannot go on say so in many ways (404, 400, 416): all mean to begin again.
      if (error instanceof RegistryError && error.status !== undefined && !isRefusal(error)) return undefined;
      throw error;
    }
  }

  async #sendRest(): Promise<void> {
    const { size } = this.#blob;
    let least = 0;
    if (!this.#location) least = await this.#begin();
    const chunk = Math.max(CHUNK_BYTES, least);
    while (!this.#whole && size - this.#offset > chunk) await this.#patch(chunk);
    await this.#finish();
  }

  /** @returns the size that chunks must have at least, in bytes */
  async #begin(): Promise<number> {
    this.#advance(0);
    const request = { method: 'POST' as const };
    const response = await this.#request('blobs/uploads/', request, [202]);
    this.#location = this.#next(response);
    const least = Number(response.headers['oci-chunk-min-length'] ?? 0);
    return Number.isSafeInteger(least) ? least : 0;
  }

  async #patch(length: number): Promise<void> {
    const start = this.#offset;
    const headers = { ...OCTETS, 'content-range': `${start}-${start + length - 1}` };
    const request = { method: 'PATCH' as const, headers, body: this.#body(start, length) };
    const response = await this.#request(this.#here(), request, [202, 201, 204]);
    this.#location = this.#next(response);
    const end = rangeEnd(response);
    if (end !== undefined && end !== start + length) {
      // It has taken less than it was sent, or counts otherwise: its count decides.
      if (end < start || end > start + length) throw this.#nonsense(response, `claims to have ${end} bytes`);
      if (end === start)
        throw new RegistryError('NETWORK', `${response.url.host} accepted no byte of a chunk`);
    }
    this.#advance(end ?? start + length);
  }

  /** The last chunk, or all of it, and the digest by which the registry checks the whole. */
  async #finish(): Promise<void> {
    const { size, digest } = this.#blob;
    const url = this.#here();
    url.searchParams.set('digest', digest);
    const start = this.#offset;
    const range = start > 0 && start < size ? { 'content-range': `${start}-${size - 1}` } : {};
    const request = {
      method: 'PUT' as const,
      headers: { ...OCTETS, ...range },
      body: start < size ? this.#body(start, size - start) : Buffer.alloc(0),
    };
    const response = await this.#request(url, request, [201, 204]);
    const stored = response.headers['docker-content-digest'];
    if (stored !== undefined && stored !== digest) {
      throw new RegistryError('DIGEST_MISMATCH', `${response.url.host} stored ${digest} as ${stored}`);
    }
    this.#advance(size);
  }

  #body(start: number, length: number) {
    return { length, open: () => this.#counted(start, length) };
  }

  async *#counted(start: number, length: number): AsyncGenerator<Uint8Array> {
    let sent = 0;
    for await (const part of this.#blob.read(start, length)) {
      yield part;
      sent += part.length;
      this.#onProgress(start + sent);
    }
    if (sent !== length) throw damaged(this.#blob.digest, `it ended after ${start + sent} bytes`);
  }

  async #request(
    target: string | URL,
    request: Omit<HttpRequest, 'url'>,
    accept: number[],
  ): Promise<HttpResponse> {
    const response = await this.#client.request(target, request, accept, `blob ${this.#blob.digest}`);
    response.body.resume();
    return response;
  }

  #advance(offset: number): void {
    this.#offset = offset;
    this.#onProgress(offset);
  }

  #here(): URL {
    if (!this.#location) throw new TypeError('the upload has not started');
    return new URL(this.#location);
  }

  #next(response: HttpResponse): URL {
    const location = locationOf(response);
    if (location) return location;
    throw this.#nonsense(response, 'does not say where the upload continues (Location)');
  }

  #nonsense(response: HttpResponse, what: string): RegistryError {
    return new RegistryError('SERVER', `${response.url.host} ${what} of blob ${this.#blob.digest}`);
  }
}

/** The Location of an answer. A registry behind a proxy that speaks TLS may not know that it does. */
function locationOf({ headers, url }: HttpResponse): URL | undefined {
  if (headers.location === undefined || !URL.canParse(headers.location, url.href)) return undefined;
  const location = new URL(headers.location, url);
  if (url.protocol === 'https:' && location.protocol === 'http:') {
    if (location.hostname !== url.hostname) return undefined;
    location.protocol = 'https:';
    location.port = url.port;
  }
  return /^https?:$/.test(location.protocol) ? location : undefined;
}

/** How many bytes `Range: 0-<last>` means; an empty upload is `0-0` too. */
function rangeEnd({ headers }: HttpResponse): number | undefined {
  const match = /^(?:bytes=)?0-(\d+)$/.exec(typeof headers.range === 'string' ? headers.range : '');
  if (!match) return undefined;
  const last = Number(match[1]);
  return last === 0 ? 0 : last + 1;
}

function isRefusal(error: unknown): boolean {
  return error instanceof RegistryError && (error.code === 'UNAUTHORIZED' || error.code === 'DENIED');
}

const TEMPORARY = new Set([408, 416, 429, 500, 502, 503, 504]);

/** Whether it is worth asking the registry where the upload stands. An upload that it has lost (404) starts over. */
function mayPass(error: unknown): boolean {
  if (isBroken(error)) return true;
  if (!(error instanceof RegistryError) || error.status === undefined) return false;
  return TEMPORARY.has(error.status) || (error.status === 404 && /UPLOAD_UNKNOWN/.test(error.message));
}

/** The registry has computed another digest. */
function isInvalid(error: unknown): boolean {
  return error instanceof RegistryError && error.status === 400 && /DIGEST_INVALID/.test(error.message);
}

function explain(error: unknown, { digest }: BlobContent): unknown {
  if (isInvalid(error)) return damaged(digest, (error as Error).message, error);
  if (error instanceof RegistryError && error.code === 'DENIED') {
    return new RegistryError('DENIED', error.message, {
      cause: error,
      status: 403,
      hint: 'The credentials are valid but may not write to this repository.',
    });
  }
  return error;
}

function damaged(digest: Digest, reason: string, cause?: unknown): RegistryError {
  return new RegistryError('DIGEST_MISMATCH', `the source does not match ${digest}: ${reason}`, {
    cause,
    hint: 'The image being pushed is damaged; nothing of it was published.',
  });
}

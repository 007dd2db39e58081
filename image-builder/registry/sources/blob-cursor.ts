// Ranges out of an answer that holds the whole blob: for registries that ignore the Range header.

import { StreamByteReader } from '../../tar/byte-reader.ts';
import { networkError } from '../http/network-error.ts';
import type { HttpResponse } from '../http/transport.ts';
import type { ByteRange } from '../image-source.ts';

/** Gives ranges in ascending order from one download, passing over what lies between them. */
export class BlobCursor {
  readonly #response: HttpResponse;
  readonly #reader: StreamByteReader;

  readonly #signal: AbortSignal | undefined;

  constructor(response: HttpResponse, signal?: AbortSignal) {
    this.#response = response;
    this.#signal = signal;
    this.#reader = new StreamByteReader(response.body);
  }

  /** Offset in the blob of the next byte there is. */
  get position(): number {
    return this.#reader.position;
  }

  async read({ start, length }: ByteRange): Promise<Buffer> {
    try {
      await this.#reader.skip(start - this.#reader.position);
      return await this.#reader.read(length);
    } catch (error) {
      throw networkError(error, this.#response.url, this.#signal);
    }
  }

  async close(): Promise<void> {
    await this.#reader.close();
    this.#response.body.destroy();
  }
}

// Ranges out of an answer that holds the whole blob: for registries that ignore the Range header.

import { networkError } from '../http/network-error.ts';
import type { ByteRange } from '../image-source.ts';
import { StreamByteReader } from '../tar/byte-reader.ts';

/** Gives ranges in ascending order from one download, passing over what lies between them. */
export class BlobCursor {
  readonly #url: URL;
  readonly #reader: StreamByteReader;
  readonly #signal: AbortSignal | undefined;

  /** @param body the whole blob; closing the cursor returns from it */
  constructor(url: URL, body: AsyncIterable<Uint8Array>, signal?: AbortSignal) {
    this.#url = url;
    this.#signal = signal;
    this.#reader = new StreamByteReader(body);
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
      throw networkError(error, this.#url, this.#signal);
    }
  }

  async close(): Promise<void> {
    await this.#reader.close();
  }
}

// A blob that is read piece by piece, most of the time one after the other: pieces of the same stream then.

import type { Digest } from './digest.ts';
import type { BlobContent } from './distribution/upload.ts';
import { RegistryError } from './http/registry-error.ts';
import type { ImageSource } from './image-source.ts';
import type { Descriptor } from './model.ts';

/** A stream on its way. */
interface Cursor {
  stream: AsyncIterator<Uint8Array>;
  /** Offset of `rest`, or else of what the stream yields next. */
  position: number;
  rest: Uint8Array;
  /** Somebody reads from it, or stopped in the middle of a piece. */
  busy: boolean;
}

/** Reads a blob of a source; {@link SequentialBlob.close} ends the transfer. Memory: one block of the source. */
export class SequentialBlob implements BlobContent {
  readonly digest: Digest;
  readonly size: number;
  readonly #source: ImageSource;
  readonly #descriptor: Descriptor;
  #cursor: Cursor | undefined;

  constructor(source: ImageSource, descriptor: Descriptor) {
    this.#source = source;
    this.#descriptor = descriptor;
    this.digest = descriptor.digest;
    this.size = descriptor.size;
  }

  /** @throws RegistryError DIGEST_MISMATCH when the source ends early */
  async *read(start: number, length: number): AsyncGenerator<Uint8Array> {
    const end = start + length;
    const cursor = await this.#cursorAt(start);
    cursor.busy = true;
    while (cursor.position < end) {
      const block = cursor.rest.length > 0 ? cursor.rest : await this.#next(cursor);
      // A source that cannot begin anywhere is read up to the place.
      const from = Math.min(block.length, Math.max(0, start - cursor.position));
      const to = Math.min(block.length, end - cursor.position);
      cursor.rest = block.subarray(to);
      cursor.position += to;
      if (to > from) yield block.subarray(from, to);
    }
    cursor.busy = false;
  }

  async close(): Promise<void> {
    const cursor = this.#cursor;
    this.#cursor = undefined;
    await cursor?.stream.return?.();
  }

  async #cursorAt(start: number): Promise<Cursor> {
    const known = this.#cursor;
    if (known && !known.busy && known.position <= start) return known;
    await this.close();
    const stream = this.#source.blob(this.#descriptor, start)[Symbol.asyncIterator]();
    const position = this.#source.resumable ? start : 0;
    this.#cursor = { stream, position, rest: new Uint8Array(), busy: false };
    return this.#cursor;
  }

  async #next(cursor: Cursor): Promise<Uint8Array> {
    const next = await cursor.stream.next();
    if (!next.done) return next.value;
    throw new RegistryError(
      'DIGEST_MISMATCH',
      `blob ${this.digest} of ${this.#source.name} ended after ${cursor.position} of ${this.size} bytes`,
      { hint: 'The image being pushed is incomplete; nothing of it was published.' },
    );
  }
}

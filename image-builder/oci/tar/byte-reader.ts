// Reading bytes forward: from a stream, or by ranges of something that can be addressed. The tar reader works on both.

/** Reads forward only. */
export interface ByteReader {
  /** The next `count` bytes; fewer only at the end. */
  read(count: number): Promise<Buffer>;
  /** What there is at hand of the next `most` bytes, at least one; empty at the end. Saves copying large data. */
  readSome(most: number): Promise<Buffer>;
  /** Passes over `count` bytes; returns how many there really were (addressable sources trust their size). */
  skip(count: number): Promise<number>;
  /** Bytes read and skipped so far. */
  readonly position: number;
  /** Releases the source; the rest is not read. */
  close(): Promise<void>;
}

/** Reads a stream; skipping means reading and forgetting. */
export class StreamByteReader implements ByteReader {
  readonly #iterator: AsyncIterator<Uint8Array>;
  #chunk: Buffer = Buffer.alloc(0);
  #position = 0;

  constructor(stream: AsyncIterable<Uint8Array>) {
    this.#iterator = stream[Symbol.asyncIterator]();
  }

  get position(): number {
    return this.#position;
  }

  async read(count: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    let missing = count;
    while (missing > 0 && (this.#chunk.length > 0 || (await this.#fill()))) {
      const part = this.#take(missing);
      parts.push(part);
      missing -= part.length;
    }
    const [only] = parts;
    return parts.length === 1 && only ? only : Buffer.concat(parts);
  }

  async readSome(most: number): Promise<Buffer> {
    if (this.#chunk.length === 0) await this.#fill();
    return this.#take(most);
  }

  async skip(count: number): Promise<number> {
    let missing = count;
    while (missing > 0 && (this.#chunk.length > 0 || (await this.#fill())))
      missing -= this.#take(missing).length;
    return count - missing;
  }

  async close(): Promise<void> {
    this.#chunk = Buffer.alloc(0);
    await this.#iterator.return?.();
  }

  #take(most: number): Buffer {
    const part = this.#chunk.subarray(0, most);
    this.#chunk = this.#chunk.subarray(part.length);
    this.#position += part.length;
    return part;
  }

  async #fill(): Promise<boolean> {
    const next = await this.#iterator.next();
    if (next.done) return false;
    const { buffer, byteOffset, byteLength } = next.value;
    this.#chunk = Buffer.from(buffer, byteOffset, byteLength);
    return byteLength > 0 || this.#fill();
  }
}

/** Windows grow up to this size while reading goes on without gaps, so that many small files do not make many requests. */
const LARGEST_WINDOW_BYTES = 4 * 1024 * 1024;

/** Reads something addressable in windows; skipping costs nothing. */
export class RangedByteReader implements ByteReader {
  readonly #fetch: (start: number, length: number) => Promise<Buffer>;
  readonly #size: number;
  readonly #firstWindow: number;
  #window: number;
  #buffer: Buffer = Buffer.alloc(0);
  #bufferStart = 0;
  #position = 0;

  /**
   * @param size of the whole, in bytes
   * @param window least number of bytes to fetch at once
   */
  constructor(fetch: (start: number, length: number) => Promise<Buffer>, size: number, window: number) {
    this.#fetch = fetch;
    this.#size = size;
    this.#firstWindow = window;
    this.#window = window;
  }

  get position(): number {
    return this.#position;
  }

  async read(count: number): Promise<Buffer> {
    const available = Math.max(0, Math.min(count, this.#size - this.#position));
    const end = this.#position + available;
    if (this.#position < this.#bufferStart || end > this.#bufferStart + this.#buffer.length) {
      await this.#load(available);
    }
    const from = this.#position - this.#bufferStart;
    this.#position = end;
    return this.#buffer.subarray(from, from + available);
  }

  /** The next bytes without passing over them. */
  async peek(count: number): Promise<Buffer> {
    const content = await this.read(count);
    this.#position -= content.length;
    return content;
  }

  async readSome(most: number): Promise<Buffer> {
    return this.read(Math.min(most, Math.max(this.#window, 1)));
  }

  async skip(count: number): Promise<number> {
    const skipped = Math.max(0, Math.min(count, this.#size - this.#position));
    this.#position += skipped;
    return skipped;
  }

  async close(): Promise<void> {
    this.#buffer = Buffer.alloc(0);
  }

  /** Fetches from the current position on, keeping what the buffer already has of it. */
  async #load(needed: number): Promise<void> {
    const offset = this.#position - this.#bufferStart;
    const kept =
      offset >= 0 && offset < this.#buffer.length ? this.#buffer.subarray(offset) : Buffer.alloc(0);
    const start = this.#position + kept.length;
    const end = this.#bufferStart + this.#buffer.length;
    const isGap = start < end || start - end > this.#window;
    if (end > 0)
      this.#window = isGap
        ? this.#firstWindow
        : Math.min(this.#window * 2, Math.max(LARGEST_WINDOW_BYTES, this.#firstWindow));
    const length = Math.min(Math.max(needed - kept.length, this.#window), this.#size - start);
    const fetched = length > 0 ? await this.#fetch(start, length) : Buffer.alloc(0);
    this.#buffer = Buffer.concat([kept, fetched]);
    this.#bufferStart = this.#position;
  }
}

// The blocks of a zstd stream (RFC 8878, 3.1.1).

import { RegistryError } from '../../oci/http/registry-error.ts';
import { tooLarge, WINDOW_LIMIT_BYTES, windowSize } from '../zstd-window.ts';

const MAGIC = 0xfd2fb528;
/** The low four bits vary. */
const SKIPPABLE_MAGIC = 0x184d2a50;
/** Bytes of the dictionary ID and of the content size, by their flags. */
const DICTIONARY_BYTES = [0, 1, 2, 4];
const CONTENT_SIZE_BYTES = [0, 2, 4, 8];
const CHECKSUM_BYTES = 4;
/** 3.1.1.2.2 */
const [STORED, REPEATED, COMPRESSED, RESERVED] = [0, 1, 2, 3];
/** The headers of its two sections. */
const COMPRESSED_LEAST_BYTES = 2;
/** 3.1.1.2.4 */
const BLOCK_LIMIT_BYTES = 128 * 1024;

/** What the blocks of a frame may refer to, in bytes. One object for each frame. */
export interface Frame {
  readonly window: number;
}

export interface Block {
  readonly frame: Frame;
  /** Its three bytes. */
  readonly header: Uint8Array;
  readonly content: readonly Uint8Array[];
  /** Of the content, in bytes. */
  readonly length: number;
  /** Whether the content is what comes out. */
  readonly isStored: boolean;
}

/**
 * Reads all frames of a stream.
 * @throws RegistryError CORRUPT for what is no zstd, and when its end is missing; TOO_LARGE for a window that is
 */
export async function* blocksOf(stream: AsyncIterable<Uint8Array>, what: string): AsyncGenerator<Block> {
  const input = new Input(stream, what);
  try {
    for (;;) {
      const magic = await input.begin(4);
      if (!magic) return;
      if ((magic.readUInt32LE(0) & 0xfffffff0) === SKIPPABLE_MAGIC) {
        await input.skip((await input.read(4)).readUInt32LE(0));
      } else if (magic.readUInt32LE(0) === MAGIC) {
        yield* blocksOfFrame(input, what);
      } else throw damaged(what, 'there is no frame where one should begin');
    }
  } finally {
    await input.close();
  }
}

/** @param input behind the magic number */
async function* blocksOfFrame(input: Input, what: string): AsyncGenerator<Block> {
  const descriptor = (await input.read(1)).readUInt8(0);
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const window = isSingleSegment ? 0 : windowSize((await input.read(1)).readUInt8(0));
  if ((await input.read(DICTIONARY_BYTES[descriptor & 3] ?? 0)).some((byte) => byte !== 0))
    throw damaged(what, 'it needs a dictionary');
  const sizeBytes = CONTENT_SIZE_BYTES[descriptor >> 6] || (isSingleSegment ? 1 : 0);
  const size = contentSize(await input.read(sizeBytes));
  // 3.1.1.1.2: a single segment's window is its whole content.
  const frame = { window: isSingleSegment ? size : window };
  if (frame.window > WINDOW_LIMIT_BYTES) throw tooLarge(what, WINDOW_LIMIT_BYTES);
  for (let isLast = false; !isLast; ) {
    const header = await input.read(3);
    const value = header.readUIntLE(0, 3);
    isLast = (value & 1) === 1;
    const type = (value >> 1) & 3;
    const length = value >> 3;
    if (type === RESERVED) throw damaged(what, 'a block is of no known type');
    if (length > BLOCK_LIMIT_BYTES || (type === COMPRESSED && length < COMPRESSED_LEAST_BYTES))
      throw damaged(what, `a block has ${length} bytes`);
    // Of a repeated byte there is one.
    const stored = type === REPEATED ? 1 : length;
    const content = await input.take(stored);
    yield { frame, header, content, length: stored, isStored: type === STORED };
  }
  if (descriptor & 4) await input.skip(CHECKSUM_BYTES);
}

/** @param field none, or the bytes of the field */
function contentSize(field: Buffer): number {
  if (field.length === 0) return 0;
  if (field.length === 8) return Number(field.readBigUInt64LE(0));
  return field.readUIntLE(0, field.length) + (field.length === 2 ? 256 : 0);
}

/** A stream as what is asked for, however it comes. */
class Input {
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #what: string;
  #chunk: Uint8Array = new Uint8Array(0);

  constructor(stream: AsyncIterable<Uint8Array>, what: string) {
    this.#chunks = stream[Symbol.asyncIterator]();
    this.#what = what;
  }

  /** The next bytes, or nothing at the end. */
  async begin(length: number): Promise<Buffer | undefined> {
    return (await this.#isOver()) ? undefined : this.read(length);
  }

  async read(length: number): Promise<Buffer> {
    return Buffer.concat(await this.take(length));
  }

  /** The same, in the pieces that they came in. */
  async take(length: number): Promise<Uint8Array[]> {
    const pieces: Uint8Array[] = [];
    for (let missing = length; missing > 0; missing -= pieces.at(-1)?.length ?? 0)
      pieces.push(await this.#some(missing));
    return pieces;
  }

  async skip(length: number): Promise<void> {
    for (let missing = length; missing > 0; ) missing -= (await this.#some(missing)).length;
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  /** One byte at least. */
  async #some(most: number): Promise<Uint8Array> {
    if (await this.#isOver()) throw damaged(this.#what, 'its end is missing');
    const piece = this.#chunk.subarray(0, most);
    this.#chunk = this.#chunk.subarray(piece.length);
    return piece;
  }

  async #isOver(): Promise<boolean> {
    while (this.#chunk.length === 0) {
      const { value, done } = await this.#chunks.next();
      if (done) return true;
      this.#chunk = value;
    }
    return false;
  }
}

const damaged = (what: string, reason: string) =>
  new RegistryError('CORRUPT', `${what} cannot be decompressed: ${reason}`);

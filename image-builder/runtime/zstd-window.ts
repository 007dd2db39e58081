// Cuts a zstd stream behind each of its blocks (RFC 8878, 3.1.1), for a decoder that gives all that its input holds at
// once: four bytes can stand for 128 KiB, so that a few KiB would fill the memory.

import { RegistryError } from '../oci/http/registry-error.ts';

const MAGIC = 0xfd2fb528;
/** The low four bits vary. */
const SKIPPABLE_MAGIC = 0x184d2a50;
/** Bytes of the dictionary ID and of the content size, by their flags. */
const DICTIONARY_BYTES = [0, 1, 2, 4];
const CONTENT_SIZE_BYTES = [0, 2, 4, 8];

/** What the bytes that are collected next begin. */
type State = 'frame' | 'block' | 'damaged';

/** Larger windows would be allocated at once; `zstd --long` needs 128 MiB at most by default, as does node:zlib. */
export const WINDOW_LIMIT_BYTES = 128 * 1024 * 1024;

/** Cuts a stream that comes in chunks. What is no zstd passes unchanged: the decoder says so. */
export class BlockCutter {
  readonly #windowLimit: number;
  readonly #what: string;
  #state: State = 'frame';
  #hasChecksum = false;
  #head: number[] = [];
  /** Bytes to pass over before the next header, and whether they complete a block. */
  #passing = { bytes: 0, endsBlock: false };

  /** @param windowLimit bytes that a frame may make the decoder hold */
  constructor(windowLimit: number, what: string) {
    this.#windowLimit = windowLimit;
    this.#what = what;
  }

  /**
   * The same bytes in pieces that complete one block at most.
   * @throws RegistryError TOO_LARGE for a frame that wants a larger window
   */
  cut(chunk: Uint8Array): Uint8Array[] {
    const pieces: Uint8Array[] = [];
    let start = 0;
    for (let position = 0; position < chunk.length && this.#state !== 'damaged'; ) {
      const { bytes, endsBlock } = this.#passing;
      if (bytes > 0) {
        const step = Math.min(bytes, chunk.length - position);
        this.#passing.bytes -= step;
        position += step;
        if (step < bytes || !endsBlock) continue;
        pieces.push(chunk.subarray(start, position));
        start = position;
        continue;
      }
      this.#head.push(chunk[position++] ?? 0);
      this.#readHeader(Buffer.from(this.#head));
    }
    if (start < chunk.length) pieces.push(chunk.subarray(start));
    return pieces;
  }

  /** @param header what there is of it */
  #readHeader(header: Buffer): void {
    if (this.#state === 'block') {
      if (header.length < 3) return;
      const { size, isLast } = blockHeader(header);
      // The checksum goes with the block: the decoder passes over it.
      this.#passing = { bytes: size + (isLast && this.#hasChecksum ? 4 : 0), endsBlock: true };
      if (isLast) this.#state = 'frame';
      this.#head = [];
      return;
    }
    const frame = frameHeader(header);
    if (frame === 'incomplete') return;
    this.#head = [];
    if (frame === 'damaged') this.#state = 'damaged';
    else if (frame.kind === 'skippable') this.#passing = { bytes: frame.size, endsBlock: false };
    else {
      if (frame.window > this.#windowLimit) throw tooLarge(this.#what, this.#windowLimit);
      this.#hasChecksum = frame.hasChecksum;
      this.#state = 'block';
    }
  }
}

/** 3.1.1.2. A block of a repeated byte holds that byte only. */
function blockHeader(header: Buffer): { size: number; isLast: boolean } {
  const value = header.readUIntLE(0, 3);
  const isRepeatedByte = ((value >> 1) & 3) === 1;
  return { size: isRepeatedByte ? 1 : value >> 3, isLast: (value & 1) === 1 };
}

type FrameHeader =
  | { kind: 'frame'; window: number; hasChecksum: boolean }
  | { kind: 'skippable'; size: number };

/** 3.1.1.1 and 3.1.2. @param header what there is of it */
function frameHeader(header: Buffer): FrameHeader | 'incomplete' | 'damaged' {
  if (header.length < 5) return 'incomplete';
  const magic = header.readUInt32LE(0);
  if ((magic & 0xfffffff0) === SKIPPABLE_MAGIC) {
    return header.length < 8 ? 'incomplete' : { kind: 'skippable', size: header.readUInt32LE(4) };
  }
  if (magic !== MAGIC) return 'damaged';
  const descriptor = header[4] ?? 0;
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const sizeFlag = descriptor >> 6;
  const sizeBytes = CONTENT_SIZE_BYTES[sizeFlag] || (isSingleSegment ? 1 : 0);
  const sizeAt = 5 + (isSingleSegment ? 0 : 1) + (DICTIONARY_BYTES[descriptor & 3] ?? 0);
  if (header.length < sizeAt + sizeBytes) return 'incomplete';
  const hasChecksum = (descriptor & 4) !== 0;
  const window = isSingleSegment ? contentSize(header, sizeAt, sizeBytes) : windowSize(header[5] ?? 0);
  return { kind: 'frame', window, hasChecksum };
}

function contentSize(header: Buffer, at: number, bytes: number): number {
  if (bytes === 8) return Number(header.readBigUInt64LE(at));
  return header.readUIntLE(at, bytes) + (bytes === 2 ? 256 : 0);
}

/** 3.1.1.1.2: the window, from its descriptor, in bytes. */
export function windowSize(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}

/** The error for a frame whose window is larger than `limit` bytes. */
export function tooLarge(what: string, limit: number): RegistryError {
  return new RegistryError('TOO_LARGE', `${what} needs a zstd window of more than ${limit} bytes`);
}

/** Refuses a first frame that wants an absurd window in our words; decoders refuse it, and those of later frames, in theirs. */
export async function* withCheckedWindow(
  stream: AsyncIterable<Uint8Array>,
  what: string,
): AsyncGenerator<Uint8Array> {
  let first = true;
  for await (const chunk of stream) {
    const [descriptor, window] = [chunk[4], chunk[5]];
    const hasWindow = first && chunk[0] === 0x28 && descriptor !== undefined && (descriptor & 0x20) === 0;
    if (hasWindow && window !== undefined && windowSize(window) > WINDOW_LIMIT_BYTES)
      throw tooLarge(what, WINDOW_LIMIT_BYTES);
    first = false;
    yield chunk;
  }
}

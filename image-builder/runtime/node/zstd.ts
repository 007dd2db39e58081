// Zstandard (RFC 8878) on Node: by node:zlib where it has it (from Node 22.15 on), else by fzstd, which is ten times slower.

import type { Transform } from 'node:stream';
import * as zlib from 'node:zlib';
import { withCheckedWindow } from '../zstd-window.ts';
import { DECODER_CHUNK_BYTES, throughDecoder } from './decoder.ts';

/** What the types of Node 20 do not know. */
type NativeDecoder = Transform & { bytesWritten: number };
type CreateDecoder = (options: { chunkSize: number }) => NativeDecoder;

/**
 * Decompresses all frames of a stream.
 * @throws RegistryError CORRUPT, TOO_LARGE for a window that is
 */
export async function* unzstd(stream: AsyncIterable<Uint8Array>, what: string): AsyncGenerator<Uint8Array> {
  const create = (zlib as { createZstdDecompress?: CreateDecoder }).createZstdDecompress;
  if (create) yield* byZlib(withCheckedWindow(stream, what), create, what);
  else yield* (await import('./fzstd.ts')).decompress(stream, what);
}

/**
 * node:zlib's decoder ends with a frame when more data follow it in the same chunk, and zstd:chunked and pzstd write many
 * frames: another decoder goes on where one has ended.
 */
async function* byZlib(
  stream: AsyncIterable<Uint8Array>,
  create: CreateDecoder,
  what: string,
): AsyncGenerator<Uint8Array> {
  const input = new Replay(stream);
  while (await input.hasMore()) {
    const decoder = create({ chunkSize: DECODER_CHUNK_BYTES });
    const consumed = () => decoder.bytesWritten;
    yield* throughDecoder(input.chunks(consumed), decoder, what);
    input.rewind(consumed());
  }
}

/** A stream whose readers may turn out to have taken more than they needed. */
class Replay {
  readonly #iterator: AsyncIterator<Uint8Array>;
  /** What the present reader has not consumed, as far as it was read. */
  readonly #kept: Uint8Array[] = [];
  /** How many of these chunks the present reader has. */
  #given = 0;
  /** How many bytes the present reader has consumed, all of which are dropped. */
  #dropped = 0;
  #reader = 0;
  #pulling: Promise<boolean> | undefined;

  constructor(stream: AsyncIterable<Uint8Array>) {
    this.#iterator = stream[Symbol.asyncIterator]();
  }

  async hasMore(): Promise<boolean> {
    return this.#kept.length > 0 || this.#pull();
  }

  /** @param consumed how many bytes of these chunks their reader is done with */
  async *chunks(consumed: () => number): AsyncGenerator<Uint8Array> {
    const reader = ++this.#reader;
    for (;;) {
      this.#drop(consumed());
      if (this.#given === this.#kept.length && !(await this.#pull())) return;
      // While this one waited for data its decoder has ended, and another has taken over.
      if (reader !== this.#reader) return;
      const chunk = this.#kept[this.#given++];
      if (chunk) yield chunk;
    }
  }

  /** Begins anew behind what the reader consumed. */
  rewind(consumed: number): void {
    this.#drop(consumed);
    this.#dropped = 0;
    this.#given = 0;
    this.#reader++;
  }

  #drop(consumed: number): void {
    let surplus = consumed - this.#dropped;
    this.#dropped = consumed;
    for (let first = this.#kept[0]; first && surplus > 0; first = this.#kept[0]) {
      if (first.length > surplus) {
        this.#kept[0] = first.subarray(surplus);
        return;
      }
      surplus -= first.length;
      this.#kept.shift();
      this.#given--;
    }
  }

  #pull(): Promise<boolean> {
    this.#pulling ??= this.#iterator.next().then(({ done, value }) => {
      this.#pulling = undefined;
      if (!done && value.length > 0) this.#kept.push(value);
      return !done;
    });
    return this.#pulling;
  }
}

// fzstd, for as long as it may take. It believes what a frame says: a few bytes keep it busy for minutes (sequences that take no
// bits) or for ever (weights of which one symbol takes no bits). A little is decompressed at once, watched by node:vm. A thread
// begins anew with what takes long there, and with what is much: starting one takes longer than decompressing a little, but
// signals and limits of time need not wait for it.
import { createContext, Script } from 'node:vm';
import { Decompress } from 'fzstd';
import { corrupt } from '../../oci/http/registry-error.ts';
import type { FzstdThread } from './fzstd-thread.ts';
import type { Block, Frame } from './zstd-blocks.ts';

/** Blocks for one call: the watch over a call costs a tenth of a millisecond. */
export const BATCH = 8;

/** Milliseconds for one call; an honest one takes 25 at most. */
const PATIENCE = 250;

/** Bytes of input that are decompressed at once. */
const LITTLE = 4 * 1024 * 1024;

/** One for all: it is larger than most layers, and forgotten late. */
const context = createContext({});
const call = new Script('work()');

/** Decompresses the blocks of one frame; `close` it. */
export class FzstdFrame {
  readonly frame: Frame;
  readonly #what: string;
  /** Stored blocks that the decoder has not seen and following ones may refer to. */
  #passed: Block[] = [];
  #passedBytes = 0;
  /** What the decoder at once has seen, for a thread. */
  readonly #seen: Buffer[] = [];
  #seenBytes = 0;
  #output: Uint8Array[] = [];
  readonly #atOnce = new Decompress((part) => this.#output.push(part));
  #thread: FzstdThread | undefined;

  /** @param what names the content in errors */
  constructor(frame: Frame, what: string) {
    this.frame = frame;
    this.#what = what;
  }

  /** A stored block, behind those before. */
  pass(block: Block): void {
    this.#passed.push(block);
    this.#passedBytes += block.length;
    for (let first = this.#passed[0]; first; first = this.#passed[0]) {
      if (this.#passedBytes - first.length < this.frame.window) return;
      this.#passed.shift();
      this.#passedBytes -= first.length;
    }
  }

  /**
   * Decompresses up to {@link BATCH} compressed blocks, behind those before.
   * @throws RegistryError CORRUPT
   */
  async decompress(blocks: Block[]): Promise<Uint8Array[]> {
    // What comes out of those has been passed on, so all of them need not be in memory twice.
    while (this.#passed.length > 0) await this.#push(this.#passed.splice(0, BATCH));
    this.#passedBytes = 0;
    return this.#push(blocks);
  }

  async close(): Promise<void> {
    await this.#thread?.close();
  }

  async #push(blocks: Block[]): Promise<Uint8Array[]> {
    const isFirst = this.#seenBytes === 0 && !this.#thread;
    const input = Buffer.concat([
      ...(isFirst ? [frameHeader(this.frame)] : []),
      ...blocks.flatMap(({ header, content }) => [header, ...content]),
    ]);
    if (this.#thread) return this.#thread.push(input);
    this.#seenBytes += input.length;
    const output = this.#seenBytes > LITTLE ? undefined : this.#pushAtOnce(input);
    if (output) {
      this.#seen.push(input);
      return output;
    }
    const { FzstdThread } = await import('./fzstd-thread.ts');
    this.#thread = await FzstdThread.open(this.#what);
    for (const seen of this.#seen.splice(0)) await this.#thread.push(seen);
    return this.#thread.push(input);
  }

  /** @returns nothing when it takes long; the decoder is of no more use then */
  #pushAtOnce(input: Buffer): Uint8Array[] | undefined {
    this.#output = [];
    context.work = () => this.#atOnce.push(input);
    try {
      call.runInContext(context, { timeout: PATIENCE });
      return this.#output;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return undefined;
      throw corrupt(this.#what, error);
    } finally {
      context.work = undefined;
    }
  }
}

/**
 * Of a frame with the same window, without checksum and with a content size that fzstd does not look at: it waits until there are 18
 * bytes, which this makes of any block.
 */
function frameHeader({ window }: Frame): Buffer {
  const header = Buffer.alloc(14);
  header.writeUInt32LE(0xfd2fb528, 0);
  header[4] = 0xc0;
  header[5] = windowDescriptor(window);
  return header;
}

/** RFC 8878, 3.1.1.1.2: of the smallest power of two from 1 KiB on that has room for so many bytes. */
const windowDescriptor = (bytes: number) => Math.max(0, Math.ceil(Math.log2(bytes / 1024))) << 3;

// The blocks that are needed of an earlier disk, found by the beginnings of their hashes. A table of numbers: some
// 20 bytes for each block, however many there are.
import { BLOCK_BYTES, type BlockIndex, KEY_BYTES, keyOf } from './block-index.ts';

const ZERO_KEY = keyOf(Buffer.alloc(BLOCK_BYTES));
const NONE = 0xffff_ffff;

/** Of the clusters that are to be made. */
export class NeededBlocks {
  readonly #keys: Buffer;
  readonly #perCluster: number;
  /** Number of the block in the index by the order in which it was added. */
  readonly #blocks: Uint32Array;
  /** The next one with the same key. */
  readonly #next: Uint32Array;
  /** The first one with a key, in the slot of the key or behind it. */
  readonly #slots: Uint32Array;
  readonly #isFound: Uint8Array;
  /** By the place of the cluster in the index. */
  readonly #missing = new Map<number, number>();
  #left = 0;

  /** @param places of the clusters in the index */
  constructor({ keys, clusterBytes }: BlockIndex, places: readonly number[]) {
    this.#keys = keys;
    this.#perCluster = clusterBytes / BLOCK_BYTES;
    const count = places.length * this.#perCluster;
    this.#blocks = new Uint32Array(count);
    this.#next = new Uint32Array(count).fill(NONE);
    this.#isFound = new Uint8Array(count);
    this.#slots = new Uint32Array(2 ** Math.ceil(Math.log2(Math.max(2, 2 * count)))).fill(NONE);
    let added = 0;
    for (const place of places) {
      this.#missing.set(place, 0);
      for (let block = place * this.#perCluster; block < (place + 1) * this.#perCluster; block++) {
        const key = this.#keyOf(block);
        // A new file has zeros everywhere.
        if (key.equals(ZERO_KEY)) continue;
        this.#blocks[added] = block;
        this.#missing.set(place, (this.#missing.get(place) ?? 0) + 1);
        this.#add(added++, key);
      }
    }
    this.#left = added;
  }

  /** Whether there is nothing left to be found. */
  get isComplete(): boolean {
    return this.#left === 0;
  }

  /** Whether all blocks of a cluster have been found. */
  has(place: number): boolean {
    return this.#missing.get(place) === 0;
  }

  /** Blocks, by their number in the index, that have this content and were not found yet; from now on they are. */
  take(content: Uint8Array): number[] {
    const key = keyOf(content);
    const first = this.#slots[this.#slotOf(key)] ?? NONE;
    if (first === NONE || this.#isFound[first]) return [];
    const found: number[] = [];
    for (let entry = first; entry !== NONE; entry = this.#next[entry] ?? NONE) {
      const block = this.#blocks[entry] ?? 0;
      const place = Math.floor(block / this.#perCluster);
      this.#missing.set(place, (this.#missing.get(place) ?? 0) - 1);
      this.#isFound[entry] = 1;
      found.push(block);
    }
    this.#left -= found.length;
    return found;
  }

  #add(entry: number, key: Buffer): void {
    const slot = this.#slotOf(key);
    this.#next[entry] = this.#slots[slot] ?? NONE;
    this.#slots[slot] = entry;
  }

  /** The slot of a key, or the free one where it would be. */
  #slotOf(key: Buffer): number {
    const mask = this.#slots.length - 1;
    for (let slot = key.readUInt32LE(0) & mask; ; slot = (slot + 1) & mask) {
      const entry = this.#slots[slot] ?? NONE;
      if (entry === NONE || this.#keyOf(this.#blocks[entry] ?? 0).equals(key)) return slot;
    }
  }

  #keyOf(block: number): Buffer {
    return this.#keys.subarray(block * KEY_BYTES, (block + 1) * KEY_BYTES);
  }
}

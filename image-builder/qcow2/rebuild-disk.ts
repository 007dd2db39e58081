// Makes a qcow2 file from an earlier image and an index: what is stored the same is copied, what the earlier disk has is
// compressed again, the rest is fetched. Each cluster is checked by its hash; whether the file is right, its own hash says.
import { hash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { throwIfCancelled } from '../base/diagnostics/cancelled.ts';
import { BLOCK_BYTES, type BlockIndex, type IndexedCluster } from './block-index.ts';
import type { EarlierImage } from './earlier-image.ts';
import { NeededBlocks } from './needed-blocks.ts';
import { readAt, writeAt, writeAtSync } from './positional.ts';
import { recompress } from './recompress.ts';

/** What a file is made of. */
export interface RebuildRequest {
  index: BlockIndex;
  earlier: EarlierImage;
  /** Fetches that part of the published file. */
  fetch: (offset: number, length: number) => Promise<Buffer>;
  /** Where the file grows; what an interrupted run has left there is used. */
  target: string;
  /** Told of the bytes that are in place. */
  onBytes?: (done: number) => void;
  signal?: AbortSignal;
}

/**
 * Makes the file. Memory is that of the index twice and some clusters; on disk, beside the file, what is compressed again.
 * @returns bytes that were fetched
 * @throws Error of `fetch`, of the file system
 */
export async function rebuild(request: RebuildRequest): Promise<number> {
  const target = await open(request.target, constants.O_RDWR | constants.O_CREAT, 0o644);
  try {
    return await new Rebuilding(request, target).run();
  } finally {
    await target.close();
  }
}

class Rebuilding {
  readonly #request: RebuildRequest;
  readonly #target: FileHandle;
  /** Clusters that are not in place, by their place in the index. */
  readonly #left: Set<number>;
  /** Clusters of the earlier disk that were copied as they are stored, by their number there. */
  readonly #copied = new Set<number>();
  #done: number;

  constructor(request: RebuildRequest, target: FileHandle) {
    const { index } = request;
    this.#request = request;
    this.#target = target;
    this.#left = new Set(index.clusters.keys());
    this.#done = index.fileBytes - index.clusters.reduce((sum, { length }) => sum + length, 0);
  }

  async run(): Promise<number> {
    const { index } = this.#request;
    await this.#takeWhatIsThere();
    await this.#target.truncate(index.fileBytes);
    for (const { offset, data } of index.literals) await writeAt(this.#target, data, offset);
    await this.#copyStored();
    if (this.#leftBytes() > index.fileBytes * WORTH_COMPRESSING) await this.#compressAgain();
    const fetched = await this.#fetchRest();
    await this.#target.sync();
    return fetched;
  }

  /** An interrupted run has left a file with holes. */
  async #takeWhatIsThere(): Promise<void> {
    const { index, signal } = this.#request;
    if ((await this.#target.stat()).size !== index.fileBytes) return this.#target.truncate(0);
    for (const place of [...this.#left]) {
      throwIfCancelled(signal);
      const { offset, length } = this.#cluster(place);
      const data = await readAt(this.#target, offset, length);
      if (this.#isRight(place, data)) this.#placed(place);
    }
  }

  /** Clusters that are stored the same in both. */
  async #copyStored(): Promise<void> {
    const { earlier, signal } = this.#request;
    const wanted = new Map<string, number[]>();
    for (const place of this.#left) {
      const key = this.#cluster(place).sha256.toString('latin1');
      wanted.set(key, [...(wanted.get(key) ?? []), place]);
    }
    for await (const { index, data, sha256 } of earlier.stored(signal)) {
      const key = sha256.toString('latin1');
      if (wanted.has(key)) this.#copied.add(index);
      for (const place of wanted.get(key) ?? []) await this.#offer(place, data);
      wanted.delete(key);
      if (wanted.size === 0) return;
    }
  }

  /** Clusters of other content, all of whose blocks the earlier disk has somewhere. */
  async #compressAgain(): Promise<void> {
    const { index, signal, target } = this.#request;
    const path = `${target}.disk`;
    const file = await open(path, 'w+', 0o600);
    try {
      await file.truncate(index.diskBytes);
      const needed = new NeededBlocks(index, [...this.#left]);
      await this.#collectBlocks(needed, file);
      const whole = [...this.#left].filter((place) => needed.has(place));
      await recompress(index, whole, {
        ...{ disk: { file, path }, scratch: `${target}.qcow2` },
        offer: (place, stored) => this.#offer(place, stored),
        ...(signal && { signal }),
      });
    } finally {
      await file.close();
      await rm(path, { force: true });
    }
  }

  /** Of what was not copied first: mostly it is there that blocks have moved, and the rest is not worth reading for a few. */
  async #collectBlocks(needed: NeededBlocks, disk: FileHandle): Promise<void> {
    const { index } = this.#request;
    await this.#collectFrom((number) => !this.#copied.has(number), needed, disk);
    const lacking = [...this.#left].filter((place) => !needed.has(place));
    const bytes = lacking.reduce((sum, place) => sum + this.#cluster(place).length, 0);
    if (bytes > index.fileBytes * WORTH_READING)
      await this.#collectFrom((number) => this.#copied.has(number), needed, disk);
  }

  async #collectFrom(
    isAsked: (number: number) => boolean,
    needed: NeededBlocks,
    disk: FileHandle,
  ): Promise<void> {
    const { index, earlier, signal } = this.#request;
    const perCluster = index.clusterBytes / BLOCK_BYTES;
    for await (const content of earlier.blocks(isAsked, signal)) {
      for (const block of needed.take(content)) {
        const { index: number } = this.#cluster(Math.floor(block / perCluster));
        const position = number * index.clusterBytes + (block % perCluster) * BLOCK_BYTES;
        // At once: a block takes three microseconds so, and twenty by a thread.
        writeAtSync(disk, content.subarray(0, BLOCK_BYTES), position);
      }
      if (needed.isComplete) return;
    }
  }

  /** Neighbours together, some ranges side by side: each costs a round trip. */
  async #fetchRest(): Promise<number> {
    const { fetch, signal } = this.#request;
    const ranges = joined([...this.#left].map((place) => ({ place, ...this.#cluster(place) })));
    let fetched = 0;
    const failed: unknown[] = [];
    const queue = ranges.values();
    const work = async () => {
      for (const range of queue) {
        if (failed.length > 0) return;
        throwIfCancelled(signal);
        const data = await fetch(range.offset, range.length);
        fetched += data.length;
        for (const { place, offset, length } of range.clusters) {
          const start = offset - range.offset;
          const stored = data.subarray(start, start + length);
          await writeAt(this.#target, stored, offset);
          this.#placed(place);
        }
      }
    };
    // Nobody writes any more when this ends.
    const noteFailure = (error: unknown) => void failed.push(error);
    await Promise.all(Array.from({ length: SIDE_BY_SIDE }, () => work().catch(noteFailure)));
    if (failed.length > 0) throw failed[0];
    return fetched;
  }

  #leftBytes(): number {
    return [...this.#left].reduce((sum, place) => sum + this.#cluster(place).length, 0);
  }

  async #offer(place: number, stored: Buffer): Promise<boolean> {
    if (!this.#isRight(place, stored)) return false;
    await writeAt(this.#target, stored, this.#cluster(place).offset);
    this.#placed(place);
    return true;
  }

  #isRight(place: number, stored: Buffer): boolean {
    const { length, sha256 } = this.#cluster(place);
    return stored.length === length && hash('sha256', stored, 'buffer').equals(sha256);
  }

  #placed(place: number): void {
    this.#left.delete(place);
    this.#done += this.#cluster(place).length;
    this.#request.onBytes?.(this.#done);
  }

  #cluster(place: number): IndexedCluster {
    return this.#request.index.clusters[place] as IndexedCluster;
  }
}

/** Of less than that share of a file, the most is new, and fetching all of it takes less time than going through the old disk. */
const WORTH_COMPRESSING = 0.02;
/** More than that share of a file would have to be fetched: longer than it takes to look through the rest of the old disk. */
const WORTH_READING = 0.05;
const SIDE_BY_SIDE = 6;
/** Fewer bytes between two clusters than arrive while a request is on its way. */
const WORTH_A_REQUEST_BYTES = 64 * 1024;
const MOST_BYTES = 4 * 1024 * 1024;

type Placed = IndexedCluster & { place: number };

/** Ranges of the file with the clusters that lie in them. */
function joined(clusters: readonly Placed[]): { offset: number; length: number; clusters: Placed[] }[] {
  const ranges: { offset: number; length: number; clusters: Placed[] }[] = [];
  for (const cluster of [...clusters].sort((a, b) => a.offset - b.offset)) {
    const last = ranges.at(-1);
    const end = cluster.offset + cluster.length;
    const isNear = last && cluster.offset - (last.offset + last.length) < WORTH_A_REQUEST_BYTES;
    if (last && isNear && end - last.offset <= MOST_BYTES) {
      last.length = end - last.offset;
      last.clusters.push(cluster);
    } else ranges.push({ offset: cluster.offset, length: cluster.length, clusters: [cluster] });
  }
  return ranges;
}

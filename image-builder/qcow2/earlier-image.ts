// What an earlier image has for a new one: clusters as they are stored, and blocks of its disk. Nothing of it is believed:
// whatever is taken is found by its hash, so a damaged image only has less.
import { hash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { decoded } from '#runtime';
import { throwIfCancelled } from '../base/diagnostics/cancelled.ts';
import { RegistryError } from '../oci/http/registry-error.ts';
import { BLOCK_BYTES } from './block-index.ts';
import { type Cluster, readLayout } from './clusters.ts';
import { frameLength } from './frame.ts';
import { readAt } from './positional.ts';
import { Qcow2Error, unexpectedQcow2 } from './qcow2-error.ts';

/** An image of the same kind. */
export class EarlierImage {
  readonly #file: FileHandle;
  readonly #clusterBytes: number;
  readonly #clusters: readonly Cluster[];

  private constructor(file: FileHandle, clusterBytes: number, clusters: readonly Cluster[]) {
    this.#file = file;
    this.#clusterBytes = clusterBytes;
    this.#clusters = clusters;
  }

  /** @throws Qcow2Error QCOW2_UNEXPECTED */
  static async open(file: FileHandle): Promise<EarlierImage> {
    const { clusterBits, compression, clusters } = await readLayout(file);
    const isRead = compression === 'zstd' || clusters.every(({ compressed }) => !compressed);
    if (!isRead) throw unexpectedQcow2('the compression');
    return new EarlierImage(file, 2 ** clusterBits, clusters);
  }

  /** Each cluster as it is stored, with its number on the disk and its SHA-256; those that are damaged are left out. */
  async *stored(signal?: AbortSignal): AsyncGenerator<{ index: number; data: Buffer; sha256: Buffer }> {
    for (const cluster of this.#clusters) {
      throwIfCancelled(signal);
      const data = await this.#read(cluster);
      if (data) yield { index: cluster.index, data, sha256: hash('sha256', data, 'buffer') };
    }
  }

  /**
   * The blocks of the disk that lie in compressed clusters, then the others; each is valid until the next. What is damaged
   * ends the former.
   * @param isAsked of which clusters, by their number on the disk
   */
  async *blocks(isAsked: (index: number) => boolean, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const asked = this.#clusters.filter(({ index }) => isAsked(index));
    try {
      yield* this.#decompressed(asked, signal);
    } catch (error) {
      // A frame that is damaged, or a bomb: what came before it has been taken.
      if (!(error instanceof RegistryError || error instanceof Qcow2Error)) throw error;
    }
    for (const cluster of asked) {
      throwIfCancelled(signal);
      if (cluster.compressed) continue;
      const data = await readAt(this.#file, cluster.offset, cluster.length);
      for (let at = 0; at < data.length; at += BLOCK_BYTES) yield data.subarray(at, at + BLOCK_BYTES);
    }
  }

  async *#decompressed(
    asked: readonly Cluster[],
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array> {
    const compressed = asked.filter((cluster) => cluster.compressed);
    if (compressed.length === 0) return;
    // A bomb has more.
    const expected = compressed.length * this.#clusterBytes;
    let size = 0;
    let rest: Uint8Array = new Uint8Array(0);
    for await (const chunk of await decoded(this.#frames(compressed), 'zstd', 'the earlier image')) {
      throwIfCancelled(signal);
      size += chunk.length;
      if (size > expected) throw unexpectedQcow2('the size of its clusters');
      const data: Uint8Array = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
      const end = data.length - (data.length % BLOCK_BYTES);
      for (let at = 0; at < end; at += BLOCK_BYTES) yield data.subarray(at, at + BLOCK_BYTES);
      rest = Buffer.from(data.subarray(end));
    }
  }

  async *#frames(clusters: readonly Cluster[]): AsyncGenerator<Uint8Array> {
    for (const cluster of clusters) {
      const data = await this.#read(cluster);
      if (data) yield data;
    }
  }

  /** Undefined when it is no frame. */
  async #read(cluster: Cluster): Promise<Buffer | undefined> {
    const data = await readAt(this.#file, cluster.offset, cluster.length);
    if (!cluster.compressed) return data;
    try {
      return data.subarray(0, frameLength(data));
    } catch (error) {
      if (error instanceof Qcow2Error) return undefined;
      throw error;
    }
  }
}

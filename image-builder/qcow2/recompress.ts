// Compresses clusters as they were compressed when the image was built: by the same library, as far as this machine has
// it. Versions of zstd differ in the bytes that they write, so everything that comes out is checked by its hash.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import * as zlib from 'node:zlib';
import { throwIfCancelled } from '../base/diagnostics/cancelled.ts';
import type { BlockIndex, IndexedCluster } from './block-index.ts';
import { readLayout } from './clusters.ts';
import { frameLength } from './frame.ts';
import { readAt } from './positional.ts';

/** The disk as far as it is known: a sparse file. */
export interface PartialDisk {
  file: FileHandle;
  path: string;
}

/** Takes the stored bytes of a cluster when they are right. */
export type Offer = (place: number, stored: Buffer) => Promise<boolean>;

/**
 * Makes clusters of the image from the disk, by the runtime's zstd first, then by qemu-img.
 * @param places of clusters in the index, all of whose content is in `disk`
 * @param scratch a file name for what qemu-img writes; removed again
 * @returns those that this machine compresses otherwise
 */
export async function recompress(
  index: BlockIndex,
  places: readonly number[],
  {
    disk,
    scratch,
    offer,
    signal,
  }: { disk: PartialDisk; scratch: string; offer: Offer; signal?: AbortSignal },
): Promise<number[]> {
  const content = (place: number) => {
    const { index: number } = index.clusters[place] as IndexedCluster;
    return readAt(disk.file, number * index.clusterBytes, index.clusterBytes);
  };
  const left: number[] = [];
  const compressed: number[] = [];
  for (const place of places) {
    throwIfCancelled(signal);
    if (index.clusters[place]?.compressed) compressed.push(place);
    else if (!(await offer(place, await content(place)))) left.push(place);
  }
  const byRuntime = await compressByRuntime(compressed, content, offer, signal);
  if (byRuntime.length === 0) return left;
  try {
    await compressByQemu(index, disk.path, scratch, signal);
    return [...left, ...(await takeFrames(index, byRuntime, scratch, offer))];
  } catch (error) {
    throwIfCancelled(signal);
    // Without qemu-img, or where it fails, clusters are fetched.
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') throw error;
    return [...left, ...byRuntime];
  } finally {
    await rm(scratch, { force: true });
  }
}

/** So many are compressed side by side, in libuv's threads. */
const SIDE_BY_SIDE = 4;

/** From Node 22.15 on; what the types of Node 20 do not know. */
type ZstdCompress = (
  data: Buffer,
  options: { pledgedSrcSize: number },
  done: (error: Error | null, result: Buffer) => void,
) => void;

/** If the first ones come out otherwise, it is another version of zstd. */
async function compressByRuntime(
  places: readonly number[],
  content: (place: number) => Promise<Buffer>,
  offer: Offer,
  signal: AbortSignal | undefined,
): Promise<number[]> {
  const { zstdCompress } = zlib as { zstdCompress?: ZstdCompress };
  if (!zstdCompress) return [...places];
  // As ZSTD_compressStream2 with ZSTD_e_end in QEMU (block/qcow2-threads.c): level 3, the size known.
  const compress = promisify(zstdCompress);
  const left: number[] = [];
  for (let start = 0; start < places.length; start += SIDE_BY_SIDE) {
    throwIfCancelled(signal);
    const batch = places.slice(start, start + SIDE_BY_SIDE);
    const isRight = await Promise.all(
      batch.map(async (place) => {
        const data = await content(place);
        return offer(place, (await compress(data, { pledgedSrcSize: data.length })) as Buffer);
      }),
    );
    left.push(...batch.filter((_, order) => !isRight[order]));
    if (start === 0 && !isRight.includes(true)) return [...places];
  }
  return left;
}

/** As disk/qcow2.ts does it; the input is raw, of which nothing can be read but bytes. */
async function compressByQemu(
  { clusterBytes }: BlockIndex,
  disk: string,
  output: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const format = `compression_type=zstd,cluster_size=${clusterBytes}`;
  const options = ['-f', 'raw', '-O', 'qcow2', '-m', '16', '-W', '-c', '-o', format];
  // Directories may be held open here, and have no name but that.
  const files = [disk, output].map((path) => path.replace(/^\/proc\/self\//, `/proc/${process.pid}/`));
  const argv = ['convert', ...options, ...files];
  const converting = spawn('qemu-img', argv, { stdio: 'ignore', ...(signal && { signal }) });
  const [status] = await once(converting, 'exit');
  if (status !== 0) throw new Error(`qemu-img ended with status ${status}`);
}

async function takeFrames(
  index: BlockIndex,
  places: readonly number[],
  image: string,
  offer: Offer,
): Promise<number[]> {
  const file = await open(image, 'r');
  try {
    const { clusters } = await readLayout(file);
    const byNumber = new Map(clusters.map((cluster) => [cluster.index, cluster]));
    const left: number[] = [];
    for (const place of places) {
      const cluster = byNumber.get(index.clusters[place]?.index ?? -1);
      const data = cluster?.compressed ? await readAt(file, cluster.offset, cluster.length) : undefined;
      if (!data || !(await offer(place, data.subarray(0, frameLength(data))))) left.push(place);
    }
    return left;
  } finally {
    await file.close();
  }
}

// Converts a raw disk file to qcow2 (https://www.qemu.org/docs/master/interop/qcow2.html).
import { constants } from 'node:fs';
import { chmod, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeBeside } from '../base/files/replace.ts';
import { hashDisk } from '../qcow2/hash-disk.ts';
import { readIntoSync, writeAtSync } from '../qcow2/positional.ts';
import type { HashedImage } from '../qcow2/write-index.ts';
import type { StageContext } from '../sandbox/stage-context.ts';
import { ClusterCache, type ClusterCachePlace } from './cluster-cache.ts';
import { DamagedCluster, orderQcow2, type ReusedCluster } from './qcow2-order.ts';
import { MIB } from './size.ts';

/** How a disk is compressed. */
export interface Qcow2Options {
  compress: boolean;
  /** zstd needs QEMU 5.1 at the reader's, zlib any. */
  compressionType: 'zstd' | 'zlib';
}

// Each cluster is compressed by itself: larger ones compress better and faster, and cost more per random read of the
// compressed image. Nodes write the image to their disk once, from start to end; see docs/explanation/disk-images.md for numbers.
const COMPRESSED_CLUSTER = MIB;

/**
 * Writes `raw` to `output`, which appears by rename. The same bytes in give the same bytes out.
 * @param kept where clusters of earlier images are; those of this one are kept there, too. Of zstd only
 * @returns of zstd: the clusters, and hashes of the disk
 */
export async function convertToQcow2(
  raw: string,
  output: string,
  options: Qcow2Options,
  context: StageContext,
  kept?: ClusterCachePlace,
): Promise<HashedImage | undefined> {
  const { compress, compressionType } = options;
  if (compress && compressionType === 'zstd') return compressByZstd(raw, output, context, kept);
  const format = compress
    ? ['-c', '-o', `compression_type=${compressionType},cluster_size=${COMPRESSED_CLUSTER}`]
    : [];
  await makeBeside(output, async (partial) => {
    await convert(raw, partial, format, context);
    // Web servers serve it.
    await chmod(partial, 0o644);
  });
  return undefined;
}

async function convert(
  from: string,
  to: string,
  options: readonly string[],
  { sandbox, signal }: StageContext,
): Promise<void> {
  const argv = ['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', '-m', '16', ...options, from, to];
  await sandbox.run(argv, { signal });
}

async function compressByZstd(
  raw: string,
  output: string,
  context: StageContext,
  kept: ClusterCachePlace | undefined,
): Promise<HashedImage> {
  const { sandbox, signal, workDir } = context;
  const unordered = join(workDir, 'unordered.qcow2');
  const rest = `${raw}.rest`;
  const cache = kept && (await ClusterCache.open(kept));
  const data = await dataOf(raw, context);
  const hashing = () => hashDisk(sandbox.hostPath(raw), data, COMPRESSED_CLUSTER, signal);
  // Out of order (-W) clusters are compressed side by side, otherwise one after the other.
  const compress = (from: string) =>
    convert(
      from,
      unordered,
      ['-c', '-o', `compression_type=zstd,cluster_size=${COMPRESSED_CLUSTER}`, '-W'],
      context,
    );
  const order = (reused: readonly ReusedCluster[]) =>
    makeBeside(output, async (partial) => {
      const clusters = await orderQcow2(unordered, partial, signal, reused);
      await chmod(partial, 0o644);
      return clusters;
    });
  try {
    const isUseful = cache !== undefined && !cache.isEmpty;
    const [hashed, compressed] = await Promise.allSettled([hashing(), isUseful ? undefined : compress(raw)]);
    // Nobody reads the disk any more when this ends.
    if (compressed.status === 'rejected') throw compressed.reason;
    if (hashed.status === 'rejected') throw hashed.reason;
    const hashes = hashed.value;
    const compressAll = async () => {
      if (isUseful) await compress(raw);
      return order([]);
    };
    const image = async () => {
      const reused = hashes.flatMap((cluster): ReusedCluster[] => {
        const found = cache?.find(cluster);
        return found ? [{ ...found, index: cluster.index }] : [];
      });
      if (reused.length === 0) return compressAll();
      const found = new Set(reused.map(({ index }) => index));
      const missing = hashes.filter(({ index }) => !found.has(index)).map(({ index }) => index);
      await copyClusters(sandbox.hostPath(raw), sandbox.hostPath(rest), missing);
      await compress(rest);
      return order(reused);
    };
    const clusters = await image().catch(async (error: unknown) => {
      if (!(error instanceof DamagedCluster)) throw error;
      await cache?.forget(error.cluster);
      return compressAll();
    });
    await cache?.keep(output, hashes, clusters);
    return { qcow2: output, clusters, hashes };
  } finally {
    await rm(unordered, { force: true });
    await rm(sandbox.hostPath(rest), { force: true });
  }
}

/** Where a raw disk has no holes, in bytes. */
async function dataOf(raw: string, { sandbox, signal }: StageContext) {
  const map: unknown = JSON.parse(
    await sandbox.run(['qemu-img', 'map', '--output=json', '-f', 'raw', raw], { signal }),
  );
  const runs = map as { start: number; length: number; data: boolean }[];
  return runs.filter(({ data }) => data).map(({ start, length }) => ({ start, length }));
}

/** A disk of the same size with these clusters only. */
async function copyClusters(from: string, to: string, indexes: readonly number[]): Promise<void> {
  const source = await open(from, 'r');
  try {
    const target = await open(to, constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC, 0o600);
    try {
      const { size } = await source.stat();
      await target.truncate(size);
      const buffer = Buffer.alloc(COMPRESSED_CLUSTER);
      for (const index of indexes) {
        const start = index * COMPRESSED_CLUSTER;
        const cluster = buffer.subarray(0, Math.min(COMPRESSED_CLUSTER, size - start));
        writeAtSync(target, readIntoSync(cluster, source, start), start);
      }
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

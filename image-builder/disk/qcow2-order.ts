// Rewrites a compressed qcow2 image so that its clusters lie in the order of the disk.
//
// qemu-img compresses on several processors only when it may write clusters in the order in which they are ready (-W),
// which differs from run to run. The compressed bytes of a cluster do not depend on that, so they are copied as they
// are. Format: https://www.qemu.org/docs/master/interop/qcow2.html
import { hash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { throwIfCancelled } from '../base/diagnostics/cancelled.ts';
import type { IndexedCluster } from '../qcow2/block-index.ts';
import { type Cluster, COMPRESSED, HEADER, readLayout, SECTOR } from '../qcow2/clusters.ts';
import { frameLength } from '../qcow2/frame.ts';
import { readInto, writeAt } from '../qcow2/positional.ts';
import { unexpectedQcow2 } from '../qcow2/qcow2-error.ts';
import type { KeptCluster } from './cluster-cache.ts';

/** Of an entry whose cluster has one user. */
const COPIED = 1n << 63n;
/** Size of a reference count that qemu-img writes (2^4 bits), in bytes. */
const REFCOUNT_BYTES = 2;

/** A cluster of the disk that has been compressed for an earlier image. */
export interface ReusedCluster extends KeptCluster {
  /** Number of the cluster on the disk. */
  index: number;
}

/** A kept cluster is not what it was, or not there any more. */
export class DamagedCluster extends Error {
  readonly cluster: KeptCluster;

  constructor(cluster: KeptCluster) {
    super(`a cluster of ${cluster.path} is damaged`);
    this.cluster = cluster;
  }
}

/**
 * Copies the image `from`, made by `qemu-img convert -c -W` with zstd, to the new file `to`.
 * @param reused what `from` lacks
 * @returns the clusters in `to`
 * @throws Qcow2Error QCOW2_UNEXPECTED when the image has features that qemu-img does not write; DamagedCluster
 */
export async function orderQcow2(
  from: string,
  to: string,
  signal: AbortSignal,
  reused: readonly ReusedCluster[] = [],
): Promise<IndexedCluster[]> {
  const files = new Map<string, FileHandle>();
  try {
    files.set(from, await open(from, 'r'));
    for (const cluster of reused)
      if (!files.has(cluster.path)) files.set(cluster.path, await openKept(cluster));
    const target = await open(to, 'wx', 0o644);
    try {
      return await copyOrdered(files, from, target, reused, signal);
    } finally {
      await target.close();
    }
  } finally {
    for (const file of files.values()) await file.close();
  }
}

/** Another build may have removed the image. */
async function openKept(cluster: KeptCluster): Promise<FileHandle> {
  return open(cluster.path, 'r').catch(() => {
    throw new DamagedCluster(cluster);
  });
}

/** Where a cluster comes from. */
interface Source extends Cluster {
  file: FileHandle;
  kept?: KeptCluster;
}

async function copyOrdered(
  files: ReadonlyMap<string, FileHandle>,
  from: string,
  target: FileHandle,
  reused: readonly ReusedCluster[],
  signal: AbortSignal,
): Promise<IndexedCluster[]> {
  const source = files.get(from) as FileHandle;
  const { header, clusterBits, diskBytes, compression, clusters: made } = await readLayout(source);
  const clusters = [
    ...made.map((cluster): Source => ({ ...cluster, file: source })),
    ...reused.map(({ index, ...kept }): Source => {
      const { path, offset, length } = kept;
      return { index, offset, length, compressed: true, file: files.get(path) as FileHandle, kept };
    }),
  ].sort((a, b) => a.index - b.index);
  if (compression !== 'zstd') throw unexpectedQcow2('the compression');
  const clusterBytes = 2 ** clusterBits;

  const l2Entries = clusterBytes / 8;
  const l1Size = Math.ceil(diskBytes / clusterBytes / l2Entries);
  const tables = [...new Set(clusters.map(({ index }) => Math.floor(index / l2Entries)))];
  // One cluster each: header, reference count table, reference counts, L1 table; then the L2 tables, then the data.
  if (l1Size * 8 > clusterBytes) throw unexpectedQcow2('its size');
  const firstL2 = 4;
  const firstData = firstL2 + tables.length;

  const placed = await copyData(target, clusters, firstData * clusterBytes, clusterBytes, signal);
  const counts = countReferences(placed.clusters, firstData, clusterBytes);
  if (counts.length * REFCOUNT_BYTES > clusterBytes) throw unexpectedQcow2('its size');

  header.writeUInt32BE(l1Size, HEADER.l1Size);
  header.writeBigUInt64BE(BigInt(3 * clusterBytes), HEADER.l1Offset);
  header.writeBigUInt64BE(BigInt(clusterBytes), HEADER.refcountTable);
  header.writeUInt32BE(1, HEADER.refcountClusters);
  await writeAt(target, header, 0);
  await writeAt(target, entries([BigInt(2 * clusterBytes)]), clusterBytes);
  const refcounts = Buffer.alloc(counts.length * REFCOUNT_BYTES);
  for (const [index, count] of counts.entries()) refcounts.writeUInt16BE(count, index * REFCOUNT_BYTES);
  await writeAt(target, refcounts, 2 * clusterBytes);
  const l1 = new Array<bigint>(l1Size).fill(0n);
  for (const [order, table] of tables.entries()) {
    const offset = (firstL2 + order) * clusterBytes;
    l1[table] = BigInt(offset) | COPIED;
    const l2 = new Array<bigint>(l2Entries).fill(0n);
    for (const cluster of placed.clusters) {
      if (Math.floor(cluster.index / l2Entries) === table)
        l2[cluster.index % l2Entries] = entryOf(cluster, clusterBits);
    }
    await writeAt(target, entries(l2), offset);
  }
  await writeAt(target, entries(l1), 3 * clusterBytes);
  await target.truncate(Math.ceil(placed.end / SECTOR) * SECTOR);
  return placed.clusters;
}

/** Copies data in the order of the disk: compressed clusters one after the other, others each at a boundary. */
async function copyData(
  target: FileHandle,
  clusters: readonly Source[],
  start: number,
  clusterBytes: number,
  signal: AbortSignal,
): Promise<{ clusters: IndexedCluster[]; end: number }> {
  const placed: IndexedCluster[] = [];
  const buffer = Buffer.alloc(clusters.reduce((most, { length }) => Math.max(most, length), clusterBytes));
  let end = start;
  for (const { file, kept, ...cluster } of clusters) {
    throwIfCancelled(signal);
    const data = await readInto(buffer.subarray(0, cluster.length), file, cluster.offset);
    const length = cluster.compressed && !kept ? frameLength(data) : cluster.length;
    const sha256 = hash('sha256', data.subarray(0, length), 'buffer');
    if (kept && !sha256.equals(kept.sha256)) throw new DamagedCluster(kept);
    if (!cluster.compressed) end = Math.ceil(end / clusterBytes) * clusterBytes;
    await writeAt(target, data.subarray(0, length), end);
    placed.push({ ...cluster, offset: end, length, sha256 });
    end += length;
  }
  return { clusters: placed, end };
}

/** How many clusters of the disk have data in each cluster of the file; tables count once. */
function countReferences(clusters: readonly Cluster[], tables: number, clusterBytes: number): number[] {
  const counts = new Array<number>(tables).fill(1);
  for (const { offset, length } of clusters) {
    const last = Math.floor((offset + length - 1) / clusterBytes);
    for (let host = Math.floor(offset / clusterBytes); host <= last; host++)
      counts[host] = (counts[host] ?? 0) + 1;
  }
  return counts;
}

function entryOf({ offset, length, compressed }: Cluster, clusterBits: number): bigint {
  if (!compressed) return BigInt(offset) | COPIED;
  const sectors = Math.floor((offset + length - 1) / SECTOR) - Math.floor(offset / SECTOR);
  return COMPRESSED | (BigInt(sectors) << BigInt(62 - (clusterBits - 8))) | BigInt(offset);
}

function entries(values: readonly bigint[]): Buffer {
  const buffer = Buffer.alloc(values.length * 8);
  for (const [index, value] of values.entries()) buffer.writeBigUInt64BE(value, index * 8);
  return buffer;
}

// Rewrites a compressed qcow2 image so that its clusters lie in the order of the disk.
//
// qemu-img compresses on several processors only when it may write clusters in the order in which they are ready (-W),
// which differs from run to run. The compressed bytes of a cluster do not depend on that, so they are copied as they
// are. Format: https://www.qemu.org/docs/master/interop/qcow2.html
import { type FileHandle, open } from 'node:fs/promises';
import { throwIfCancelled } from '../base/diagnostics/cancelled.ts';
import { type Cluster, COMPRESSED, HEADER, readLayout, SECTOR } from '../qcow2/clusters.ts';
import { frameLength } from '../qcow2/frame.ts';
import { readInto, writeAt } from '../qcow2/positional.ts';
import { unexpectedQcow2 } from '../qcow2/qcow2-error.ts';

/** Of an entry whose cluster has one user. */
const COPIED = 1n << 63n;
/** Size of a reference count that qemu-img writes (2^4 bits), in bytes. */
const REFCOUNT_BYTES = 2;

/**
 * Copies the image `from`, made by `qemu-img convert -c -W` with zstd, to the new file `to`.
 * @throws Qcow2Error QCOW2_UNEXPECTED when the image has features that qemu-img does not write
 */
export async function orderQcow2(from: string, to: string, signal: AbortSignal): Promise<void> {
  const source = await open(from, 'r');
  try {
    const target = await open(to, 'wx', 0o644);
    try {
      await copyOrdered(source, target, signal);
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

async function copyOrdered(source: FileHandle, target: FileHandle, signal: AbortSignal): Promise<void> {
  const { header, clusterBits, diskBytes, compression, clusters } = await readLayout(source);
  if (compression !== 'zstd') throw unexpectedQcow2('the compression');
  const clusterBytes = 2 ** clusterBits;

  const l2Entries = clusterBytes / 8;
  const l1Size = Math.ceil(diskBytes / clusterBytes / l2Entries);
  const tables = [...new Set(clusters.map(({ index }) => Math.floor(index / l2Entries)))];
  // One cluster each: header, reference count table, reference counts, L1 table; then the L2 tables, then the data.
  if (l1Size * 8 > clusterBytes) throw unexpectedQcow2('its size');
  const firstL2 = 4;
  const firstData = firstL2 + tables.length;

  const placed = await copyData(source, target, clusters, firstData * clusterBytes, clusterBytes, signal);
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
}

/** Copies data in the order of the disk: compressed clusters one after the other, others each at a boundary. */
async function copyData(
  source: FileHandle,
  target: FileHandle,
  clusters: readonly Cluster[],
  start: number,
  clusterBytes: number,
  signal: AbortSignal,
): Promise<{ clusters: Cluster[]; end: number }> {
  const placed: Cluster[] = [];
  const buffer = Buffer.alloc(clusters.reduce((most, { length }) => Math.max(most, length), clusterBytes));
  let end = start;
  for (const cluster of clusters) {
    throwIfCancelled(signal);
    const data = await readInto(buffer.subarray(0, cluster.length), source, cluster.offset);
    const length = cluster.compressed ? frameLength(data) : cluster.length;
    if (!cluster.compressed) end = Math.ceil(end / clusterBytes) * clusterBytes;
    await writeAt(target, data.subarray(0, length), end);
    placed.push({ ...cluster, offset: end, length });
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

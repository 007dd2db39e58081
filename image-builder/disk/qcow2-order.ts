// Rewrites a compressed qcow2 image so that its clusters lie in the order of the disk.
//
// qemu-img compresses on several processors only when it may write clusters in the order in which they are ready (-W),
// which is another one each time. The compressed bytes of a cluster do not depend on that, so they are copied as they
// are. Format: https://www.qemu.org/docs/master/interop/qcow2.html and, for the length of a frame, RFC 8878.
import { type FileHandle, open } from 'node:fs/promises';
import { throwIfCancelled } from '../base/diagnostics/cancelled.ts';
import { DiskError } from './disk-error.ts';

const MAGIC = 0x514649fb;
const SECTOR = 512;
const COMPRESSED = 1n << 62n;
/** Of an entry whose cluster has one user. */
const COPIED = 1n << 63n;
const HOST_OFFSET = 0x00ff_ffff_ffff_fe00n;
/** Size of a reference count that qemu-img writes (2^4 bits), in bytes. */
const REFCOUNT_BYTES = 2;

/** Places in the header; all numbers are big-endian. */
const HEADER = {
  ...{ backingFile: 8, clusterBits: 20, diskSize: 24, l1Size: 36, l1Offset: 40 },
  ...{ refcountTable: 48, refcountClusters: 56, features: 72, refcountOrder: 96 },
};
/** The only incompatible feature: another compression than zlib. */
const COMPRESSION_TYPE = 1n << 3n;

/** Where the data of one cluster of the disk lies in a file. */
interface Cluster {
  /** Number of the cluster on the disk. */
  index: number;
  offset: number;
  /** Bytes. */
  length: number;
  compressed: boolean;
}

/**
 * Copies the image `from`, made by `qemu-img convert -c -W` with zstd, to the new file `to`.
 * @throws DiskError QCOW2_UNEXPECTED when the image has what qemu-img does not write there
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
  const header = await readAt(source, 0, SECTOR * 8);
  if (header.readUInt32BE(0) !== MAGIC || header.readUInt32BE(4) !== 3) throw unexpected('its header');
  if (header.readBigUInt64BE(HEADER.backingFile) !== 0n) throw unexpected('its backing file');
  if (header.readBigUInt64BE(HEADER.features) !== COMPRESSION_TYPE) throw unexpected('its features');
  if (header.readUInt32BE(HEADER.refcountOrder) !== 4) throw unexpected('its reference counts');
  const clusterBits = header.readUInt32BE(HEADER.clusterBits);
  const clusterBytes = 2 ** clusterBits;
  const clusters = await readClusters(source, header, clusterBits);

  const l2Entries = clusterBytes / 8;
  const l1Size = Math.ceil(Number(header.readBigUInt64BE(HEADER.diskSize)) / clusterBytes / l2Entries);
  const tables = [...new Set(clusters.map(({ index }) => Math.floor(index / l2Entries)))];
  // One cluster each: header, reference count table, reference counts, L1 table; then the L2 tables, then the data.
  if (l1Size * 8 > clusterBytes) throw unexpected('its size');
  const firstL2 = 4;
  const firstData = firstL2 + tables.length;

  const placed = await copyData(source, target, clusters, firstData * clusterBytes, clusterBytes, signal);
  const counts = countReferences(placed.clusters, firstData, clusterBytes);
  if (counts.length * REFCOUNT_BYTES > clusterBytes) throw unexpected('its size');

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

/** All clusters with data, in the order of the disk. */
async function readClusters(source: FileHandle, header: Buffer, clusterBits: number): Promise<Cluster[]> {
  const clusterBytes = 2 ** clusterBits;
  const l1Bytes = header.readUInt32BE(HEADER.l1Size) * 8;
  const l1 = await readAt(source, Number(header.readBigUInt64BE(HEADER.l1Offset)), l1Bytes);
  const offsetBits = BigInt(62 - (clusterBits - 8));
  const clusters: Cluster[] = [];
  for (let table = 0; table * 8 < l1Bytes; table++) {
    const l2Offset = Number(l1.readBigUInt64BE(table * 8) & HOST_OFFSET);
    if (l2Offset === 0) continue;
    const l2 = await readAt(source, l2Offset, clusterBytes);
    for (let slot = 0; slot * 8 < clusterBytes; slot++) {
      const entry = l2.readBigUInt64BE(slot * 8);
      const index = (table * clusterBytes) / 8 + slot;
      // Without a backing file, a cluster of zeros and one that is not there are the same.
      if (entry === 0n || (entry & (COMPRESSED | 1n)) === 1n) continue;
      if (entry & COMPRESSED) {
        const offset = Number(entry & ((1n << offsetBits) - 1n));
        const sectors = Number((entry & (COMPRESSED - 1n)) >> offsetBits) + 1;
        clusters.push({ index, offset, length: sectors * SECTOR - (offset % SECTOR), compressed: true });
      } else {
        clusters.push({
          index,
          offset: Number(entry & HOST_OFFSET),
          length: clusterBytes,
          compressed: false,
        });
      }
    }
  }
  return clusters;
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

const FRAME_MAGIC = 0xfd2fb528;
/** Bytes of the content size, by its flag; none if that is 0, unless the frame is a single segment. */
const CONTENT_SIZE_BYTES = [0, 2, 4, 8];
const DICTIONARY_BYTES = [0, 1, 2, 4];
const BLOCK_RLE = 1;

/** Length of the zstd frame at the beginning of `data` (RFC 8878, section 3.1.1), in bytes. */
export function frameLength(data: Buffer): number {
  try {
    if (data.readUInt32LE(0) !== FRAME_MAGIC) throw unexpected('the compression');
    const descriptor = data.readUInt8(4);
    const single = (descriptor & 0x20) !== 0;
    const sizeFlag = descriptor >> 6;
    const contentSize = sizeFlag === 0 && single ? 1 : (CONTENT_SIZE_BYTES[sizeFlag] ?? 0);
    let offset = 5 + (single ? 0 : 1) + (DICTIONARY_BYTES[descriptor & 3] ?? 0) + contentSize;
    for (let last = false; !last; ) {
      const block = data.readUIntLE(offset, 3);
      last = (block & 1) !== 0;
      offset += 3 + (((block >> 1) & 3) === BLOCK_RLE ? 1 : block >> 3);
    }
    const end = offset + (descriptor & 4 ? 4 : 0);
    if (end > data.length) throw unexpected('the end of a cluster');
    return end;
  } catch (error) {
    if (error instanceof RangeError) throw unexpected('the end of a cluster');
    throw error;
  }
}

function entries(values: readonly bigint[]): Buffer {
  const buffer = Buffer.alloc(values.length * 8);
  for (const [index, value] of values.entries()) buffer.writeBigUInt64BE(value, index * 8);
  return buffer;
}

/** Reads that many bytes; behind the end of the file are zeros. */
function readAt(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  return readInto(Buffer.alloc(length), file, offset);
}

/** Fills the buffer; behind the end of the file are zeros. @returns the buffer */
async function readInto(buffer: Buffer, file: FileHandle, offset: number): Promise<Buffer> {
  for (let done = 0; done < buffer.length; ) {
    const { bytesRead } = await file.read(buffer, done, buffer.length - done, offset + done);
    if (bytesRead === 0) return buffer.fill(0, done);
    done += bytesRead;
  }
  return buffer;
}

async function writeAt(file: FileHandle, data: Buffer, offset: number): Promise<void> {
  for (let done = 0; done < data.length; ) {
    done += (await file.write(data, done, data.length - done, offset + done)).bytesWritten;
  }
}

function unexpected(what: string): DiskError {
  return new DiskError('QCOW2_UNEXPECTED', `qemu-img wrote a qcow2 image that differs in ${what}`, {
    hint: 'This is a bug in Image Builder; report it with the version of qemu-img.',
  });
}

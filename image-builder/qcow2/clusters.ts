// Where the data of a qcow2 image lie. Only what qemu-img writes for Image Builder is read; everything is bounded by the
// size of the file, since an image may come from anywhere. Format: https://www.qemu.org/docs/master/interop/qcow2.html
import type { FileHandle } from 'node:fs/promises';
import { readAt } from './positional.ts';
import { unexpectedQcow2 } from './qcow2-error.ts';

const MAGIC = 0x514649fb;
export const SECTOR = 512;
/** Of an L2 entry. */
export const COMPRESSED: bigint = 1n << 62n;
const HOST_OFFSET = 0x00ff_ffff_ffff_fe00n;
/** QEMU's own limit, in bytes. */
const L1_LIMIT_BYTES = 32 * 1024 * 1024;
const HEADER_BYTES = 8 * SECTOR;
const LEAST_CLUSTER_BITS = 12;
const MOST_CLUSTER_BITS = 21;

/** Places in the header; all numbers are big-endian. */
export const HEADER = {
  ...{ backingFile: 8, clusterBits: 20, diskSize: 24, encryption: 32, l1Size: 36, l1Offset: 40 },
  ...{ refcountTable: 48, refcountClusters: 56, features: 72, refcountOrder: 96, compression: 104 },
} as const;
/** The only incompatible feature that is read: another compression than zlib. */
const COMPRESSION_TYPE = 1n << 3n;
const ZSTD = 1;

/** Where the data of one cluster of the disk lie in a file. */
export interface Cluster {
  /** Number of the cluster on the disk. */
  index: number;
  offset: number;
  /** Bytes; of a compressed cluster at most: it ends in the last of its sectors. */
  length: number;
  compressed: boolean;
}

/** An image without a backing file. */
export interface Qcow2Layout {
  /** The first sectors, as stored. */
  header: Buffer;
  clusterBits: number;
  /** Size of the disk, in bytes. */
  diskBytes: number;
  compression: 'zlib' | 'zstd';
  /** All clusters with data, in the order of the disk. */
  clusters: Cluster[];
}

/**
 * Reads the tables of an image.
 * @throws Qcow2Error QCOW2_UNEXPECTED
 */
export async function readLayout(file: FileHandle): Promise<Qcow2Layout> {
  const { size } = await file.stat();
  const header = await readAt(file, 0, HEADER_BYTES);
  if (header.readUInt32BE(0) !== MAGIC || header.readUInt32BE(4) !== 3) throw unexpectedQcow2('its header');
  if (header.readBigUInt64BE(HEADER.backingFile) !== 0n) throw unexpectedQcow2('its backing file');
  if (header.readUInt32BE(HEADER.encryption) !== 0) throw unexpectedQcow2('its encryption');
  const features = header.readBigUInt64BE(HEADER.features);
  const isZstd = features === COMPRESSION_TYPE && header.readUInt8(HEADER.compression) === ZSTD;
  if (features !== 0n && !isZstd) throw unexpectedQcow2('its features');
  if (header.readUInt32BE(HEADER.refcountOrder) !== 4) throw unexpectedQcow2('its reference counts');
  const clusterBits = header.readUInt32BE(HEADER.clusterBits);
  if (clusterBits < LEAST_CLUSTER_BITS || clusterBits > MOST_CLUSTER_BITS)
    throw unexpectedQcow2('the size of its clusters');
  const diskBytes = header.readBigUInt64BE(HEADER.diskSize);
  if (diskBytes > BigInt(Number.MAX_SAFE_INTEGER)) throw unexpectedQcow2('its size');
  return {
    ...{ header, clusterBits, diskBytes: Number(diskBytes), compression: isZstd ? 'zstd' : 'zlib' },
    clusters: await readClusters(file, header, clusterBits, size),
  };
}

async function readClusters(
  file: FileHandle,
  header: Buffer,
  clusterBits: number,
  size: number,
): Promise<Cluster[]> {
  const clusterBytes = 2 ** clusterBits;
  const within = (offset: bigint): number => {
    if (offset >= BigInt(size)) throw unexpectedQcow2('its tables');
    return Number(offset);
  };
  const l1Bytes = header.readUInt32BE(HEADER.l1Size) * 8;
  if (l1Bytes > L1_LIMIT_BYTES) throw unexpectedQcow2('its size');
  const l1 = await readAt(file, within(header.readBigUInt64BE(HEADER.l1Offset)), l1Bytes);
  const tables = new Set<number>();
  const clusters: Cluster[] = [];
  for (let table = 0; table * 8 < l1Bytes; table++) {
    const l2Offset = within(l1.readBigUInt64BE(table * 8) & HOST_OFFSET);
    if (l2Offset === 0) continue;
    // Tables that are used twice make a small file a large disk.
    if (tables.has(l2Offset)) throw unexpectedQcow2('its tables');
    tables.add(l2Offset);
    const l2 = await readAt(file, l2Offset, clusterBytes);
    for (let slot = 0; slot * 8 < clusterBytes; slot++) {
      const cluster = clusterOf(l2.readBigUInt64BE(slot * 8), clusterBits, within);
      if (cluster) clusters.push({ index: (table * clusterBytes) / 8 + slot, ...cluster });
    }
  }
  // Each has a byte of its own at least; what is used twice is not.
  if (new Set(clusters.map(({ offset }) => offset)).size < clusters.length)
    throw unexpectedQcow2('its tables');
  return clusters;
}

function clusterOf(
  entry: bigint,
  clusterBits: number,
  within: (offset: bigint) => number,
): Omit<Cluster, 'index'> | undefined {
  // Without a backing file, a cluster of zeros and one that is not there are the same.
  if (entry === 0n || (entry & (COMPRESSED | 1n)) === 1n) return undefined;
  if (!(entry & COMPRESSED))
    return { offset: within(entry & HOST_OFFSET), length: 2 ** clusterBits, compressed: false };
  const offsetBits = BigInt(62 - (clusterBits - 8));
  const offset = within(entry & ((1n << offsetBits) - 1n));
  const sectors = Number((entry & (COMPRESSED - 1n)) >> offsetBits) + 1;
  return { offset, length: sectors * SECTOR - (offset % SECTOR), compressed: true };
}

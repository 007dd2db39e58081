// The index by which a qcow2 image is made from an earlier one: where each cluster lies in the file, its hash, and a
// short hash of each block of the disk in it. Written by us, read from strangers. Pure.
//
// All numbers are little-endian. A header, the places of clusters and of literals, the literals' bytes, the hashes of the
// blocks. A literal is what is neither a cluster nor zeros: the header and the tables of qcow2.
import { hash } from 'node:crypto';
import { Qcow2Error } from './qcow2-error.ts';

/** Blocks of all file systems that are written here; files begin at one, wherever they have moved. */
export const BLOCK_BYTES = 4096;
/**
 * What is kept of the SHA-256 of a block. It finds candidates: a wrong one costs the transfer of a cluster, since the hash
 * of the cluster decides. Among ten million blocks, some thousands of new ones find 0.05 wrong candidates.
 */
export const KEY_BYTES = 5;

const MAGIC = Buffer.from('IBQINDEX');
const VERSION = 1;
const HASH_BYTES = 32;
const HEADER_BYTES = 40;
const CLUSTER_RECORD_BYTES = 16 + HASH_BYTES;
const LITERAL_RECORD_BYTES = 12;
const IS_COMPRESSED = 0x8000_0000;
const LEAST_CLUSTER_BYTES = BLOCK_BYTES;
const MOST_CLUSTER_BYTES = 2 * 1024 * 1024;

/** Bytes that an index may have: that of an image with 60 GB of data. */
export const INDEX_LIMIT_BYTES = 80 * 1024 * 1024;

/** A cluster with data. */
export interface IndexedCluster {
  /** Number of the cluster on the disk. */
  index: number;
  /** Where it lies in the file, as it is stored there; bytes. */
  offset: number;
  length: number;
  /** A zstd frame of its own. */
  compressed: boolean;
  /** Of the stored bytes. */
  sha256: Buffer;
}

/** Bytes of the file that are stored in the index itself. */
export interface Literal {
  offset: number;
  data: Buffer;
}

/** What an index says of a qcow2 file. */
export interface BlockIndex {
  /** Of the file. */
  fileBytes: number;
  /** Of the disk. */
  diskBytes: number;
  clusterBytes: number;
  /** In the order of the disk and of the file, which are the same. */
  clusters: IndexedCluster[];
  literals: Literal[];
  /** {@link KEY_BYTES} for each block of each cluster, in order. */
  keys: Buffer;
}

/** The beginning of the hash by which a block is found. */
export function keyOf(block: Uint8Array): Buffer {
  return hash('sha256', block, 'buffer').subarray(0, KEY_BYTES);
}

/** As it is stored. */
export function formatIndex(index: BlockIndex): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(header);
  header.writeUInt32LE(VERSION, 8);
  header.writeUInt32LE(index.clusterBytes, 12);
  header.writeUInt32LE(index.clusters.length, 16);
  header.writeUInt32LE(index.literals.length, 20);
  header.writeBigUInt64LE(BigInt(index.fileBytes), 24);
  header.writeBigUInt64LE(BigInt(index.diskBytes), 32);
  const clusters = index.clusters.map(({ index: number, offset, length, compressed, sha256 }) => {
    const record = Buffer.alloc(CLUSTER_RECORD_BYTES);
    record.writeUInt32LE(number, 0);
    record.writeUInt32LE(compressed ? length + IS_COMPRESSED : length, 4);
    record.writeBigUInt64LE(BigInt(offset), 8);
    sha256.copy(record, 16);
    return record;
  });
  const literals = index.literals.map(({ offset, data }) => {
    const record = Buffer.alloc(LITERAL_RECORD_BYTES);
    record.writeBigUInt64LE(BigInt(offset), 0);
    record.writeUInt32LE(data.length, 8);
    return record;
  });
  return Buffer.concat([
    ...[header, ...clusters, ...literals],
    ...[...index.literals.map(({ data }) => data), index.keys],
  ]);
}

/**
 * Reads an index; what comes out contradicts neither itself nor its own size.
 * @throws Qcow2Error BLOCK_INDEX_INVALID
 */
export function parseIndex(content: Buffer): BlockIndex {
  if (content.length < HEADER_BYTES || !content.subarray(0, MAGIC.length).equals(MAGIC))
    throw invalid('it is none');
  if (content.readUInt32LE(8) !== VERSION) throw invalid(`version ${content.readUInt32LE(8)} is unknown`);
  const clusterBytes = content.readUInt32LE(12);
  const isPower = clusterBytes > 0 && (clusterBytes & (clusterBytes - 1)) === 0;
  if (!isPower || clusterBytes < LEAST_CLUSTER_BYTES || clusterBytes > MOST_CLUSTER_BYTES)
    throw invalid(`clusters of ${clusterBytes} bytes`);
  const counts = { clusters: content.readUInt32LE(16), literals: content.readUInt32LE(20) };
  const fileBytes = sizeAt(content, 24);
  const diskBytes = sizeAt(content, 32);
  const literalsAt = HEADER_BYTES + counts.clusters * CLUSTER_RECORD_BYTES;
  const dataAt = literalsAt + counts.literals * LITERAL_RECORD_BYTES;
  const keysBytes = counts.clusters * (clusterBytes / BLOCK_BYTES) * KEY_BYTES;
  // Before anything is read by these counts: no more of them than there are bytes.
  if (dataAt + keysBytes > content.length) throw invalid('it is cut off');
  const clusters = Array.from({ length: counts.clusters }, (_, place) =>
    clusterAt(content, HEADER_BYTES + place * CLUSTER_RECORD_BYTES),
  );
  const literals: Literal[] = [];
  let next = dataAt;
  for (let place = 0; place < counts.literals; place++) {
    const record = literalsAt + place * LITERAL_RECORD_BYTES;
    const length = content.readUInt32LE(record + 8);
    literals.push({ offset: sizeAt(content, record), data: content.subarray(next, next + length) });
    next += length;
    if (next + keysBytes > content.length) throw invalid('it is cut off');
  }
  if (next + keysBytes !== content.length) throw invalid('it has bytes left over');
  const index = {
    ...{ fileBytes, diskBytes, clusterBytes, clusters, literals },
    keys: content.subarray(next),
  };
  checkPlaces(index);
  return index;
}

function clusterAt(content: Buffer, record: number): IndexedCluster {
  const length = content.readUInt32LE(record + 4);
  const compressed = length >= IS_COMPRESSED;
  return {
    index: content.readUInt32LE(record),
    offset: sizeAt(content, record + 8),
    length: compressed ? length - IS_COMPRESSED : length,
    compressed,
    sha256: content.subarray(record + 16, record + 16 + HASH_BYTES),
  };
}

/** Ascending on the disk, within the file, and nowhere over each other. */
function checkPlaces({ fileBytes, diskBytes, clusterBytes, clusters, literals }: BlockIndex): void {
  let previous = -1;
  for (const { index, length, compressed } of clusters) {
    if (index <= previous || index * clusterBytes >= diskBytes) throw invalid(`cluster ${index} of the disk`);
    if (compressed ? length === 0 || length > 2 * clusterBytes : length !== clusterBytes)
      throw invalid(`a cluster of ${length} bytes`);
    previous = index;
  }
  const places = [
    ...clusters.map(({ offset, length }) => ({ offset, length })),
    ...literals.map(({ offset, data }) => ({ offset, length: data.length })),
  ].sort((a, b) => a.offset - b.offset);
  let end = 0;
  for (const { offset, length } of places) {
    if (offset < end) throw invalid(`two things at ${offset}`);
    end = offset + length;
    if (end > fileBytes) throw invalid(`something at ${offset}, behind the end`);
  }
}

function sizeAt(content: Buffer, place: number): number {
  const value = content.readBigUInt64LE(place);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid(`the number ${value}`);
  return Number(value);
}

function invalid(problem: string): Qcow2Error {
  return new Qcow2Error('BLOCK_INDEX_INVALID', `the index of the blocks of an image is invalid: ${problem}`, {
    hint: 'The whole image is fetched without it; tell whoever published the bundle.',
  });
}

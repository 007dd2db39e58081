// Makes the index of a compressed image (block-index.ts) from the image and the hashes of the disk that it was made from.
import { type FileHandle, open, writeFile } from 'node:fs/promises';
import { throwIfCancelled } from '../base/diagnostics/cancelled.ts';
import {
  BLOCK_BYTES,
  formatIndex,
  type IndexedCluster,
  KEY_BYTES,
  keyOf,
  type Literal,
} from './block-index.ts';
import { readLayout, SECTOR } from './clusters.ts';
import type { HashedCluster } from './hash-disk.ts';
import { readInto } from './positional.ts';

const ZERO_KEY = keyOf(Buffer.alloc(BLOCK_BYTES));
const READ_BYTES = 1024 * 1024;

/** A compressed image, and what it was made from. */
export interface HashedImage {
  /** Compressed by zstd, its clusters in the order of the disk. */
  qcow2: string;
  clusters: readonly IndexedCluster[];
  hashes: readonly HashedCluster[];
}

/**
 * Writes the index of an image to the new file `target`.
 * @throws Qcow2Error QCOW2_UNEXPECTED
 */
export async function writeIndex(image: HashedImage, target: string, signal: AbortSignal): Promise<void> {
  const qcow2 = await open(image.qcow2, 'r');
  try {
    await writeFile(target, await makeIndex(image, qcow2, signal), { flag: 'wx' });
  } finally {
    await qcow2.close();
  }
}

async function makeIndex(
  { clusters, hashes }: HashedImage,
  qcow2: FileHandle,
  signal: AbortSignal,
): Promise<Buffer> {
  const { size: fileBytes } = await qcow2.stat();
  const { clusterBits, diskBytes } = await readLayout(qcow2);
  const clusterBytes = 2 ** clusterBits;
  const known = new Map(hashes.map((cluster) => [cluster.index, cluster.keys]));
  // qemu-img may have written a cluster of zeros.
  const zeros = Buffer.alloc((clusterBytes / BLOCK_BYTES) * KEY_BYTES, ZERO_KEY);
  const keys = Buffer.concat(clusters.map(({ index }) => known.get(index) ?? zeros));
  throwIfCancelled(signal);
  const literals = await readLiterals(qcow2, fileBytes, clusters);
  return formatIndex({ fileBytes, diskBytes, clusterBytes, clusters: [...clusters], literals, keys });
}

/** All sectors between the clusters that are not zeros. */
async function readLiterals(
  qcow2: FileHandle,
  fileBytes: number,
  clusters: readonly IndexedCluster[],
): Promise<Literal[]> {
  const literals: Literal[] = [];
  let position = 0;
  for (const { offset, length } of [...clusters, { offset: fileBytes, length: 0 }]) {
    while (position < offset) {
      const data = await readInto(Buffer.alloc(Math.min(READ_BYTES, offset - position)), qcow2, position);
      for (let at = 0; at < data.length; at += SECTOR) {
        const sector = data.subarray(at, at + SECTOR);
        if (sector.some((byte) => byte !== 0)) literals.push({ offset: position + at, data: sector });
      }
      position += data.length;
    }
    position = offset + length;
  }
  return literals;
}

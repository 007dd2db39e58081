// Hashes what is on a raw disk, once for all that need it: short hashes of its blocks for the index (block-index.ts), and a hash of each
// cluster, by which a compressed one is found again.
import { hash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { throwIfCancelled } from '../base/diagnostics/cancelled.ts';
import { BLOCK_BYTES, KEY_BYTES } from './block-index.ts';
import { readIntoSync } from './positional.ts';

const ZERO_BLOCK = Buffer.alloc(BLOCK_BYTES);
const ZERO_HASH = hash('sha256', ZERO_BLOCK, 'buffer');

/** A cluster that is not all zeros. */
export interface HashedCluster {
  /** Number of the cluster on the disk. */
  index: number;
  /** SHA-256 of the SHA-256s of its blocks. */
  sha256: Buffer;
  /** {@link KEY_BYTES} for each of its blocks. */
  keys: Buffer;
}

/**
 * In the order of the disk. What is behind the end of the disk counts as zeros.
 * @param data where the file has no holes, in order; bytes
 */
export async function hashDisk(
  path: string,
  data: readonly { start: number; length: number }[],
  clusterBytes: number,
  signal: AbortSignal,
): Promise<HashedCluster[]> {
  const numbers = new Set<number>();
  for (const { start, length } of data) {
    for (let at = Math.floor(start / clusterBytes); at * clusterBytes < start + length; at++) numbers.add(at);
  }
  const file = await open(path, 'r');
  try {
    const clusters: HashedCluster[] = [];
    const content = Buffer.alloc(clusterBytes);
    for (const index of numbers) {
      const cluster = hashCluster(index, readIntoSync(content, file, index * clusterBytes));
      if (cluster) clusters.push(cluster);
      // Signals have their turn, and whoever compresses meanwhile.
      if (index % 16 === 0) await setImmediate();
      throwIfCancelled(signal);
    }
    return clusters;
  } finally {
    await file.close();
  }
}

function hashCluster(index: number, content: Buffer): HashedCluster | undefined {
  const blocks = content.length / BLOCK_BYTES;
  const hashes = Buffer.alloc(blocks * ZERO_HASH.length);
  const keys = Buffer.alloc(blocks * KEY_BYTES);
  let hasData = false;
  for (let block = 0; block < blocks; block++) {
    const bytes = content.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES);
    const isZero = bytes.equals(ZERO_BLOCK);
    const digest = isZero ? ZERO_HASH : hash('sha256', bytes, 'buffer');
    digest.copy(hashes, block * digest.length);
    digest.copy(keys, block * KEY_BYTES, 0, KEY_BYTES);
    hasData ||= !isZero;
  }
  return hasData ? { index, sha256: hash('sha256', hashes, 'buffer'), keys } : undefined;
}

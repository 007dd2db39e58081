// Makes the index of a compressed image (block-index.ts) from the image and the raw disk that it was made from.
import { hash } from 'node:crypto';
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
import { frameLength } from './frame.ts';
import { readInto } from './positional.ts';

const ZERO_BLOCK = Buffer.alloc(BLOCK_BYTES);
const ZERO_KEY = keyOf(ZERO_BLOCK);
const READ_BYTES = 1024 * 1024;

/** Files of one disk. */
export interface DiskFiles {
  raw: string;
  /** Compressed by zstd, its clusters in the order of the disk. */
  qcow2: string;
}

/**
 * Writes the index of `qcow2` to the new file `target`.
 * @throws Qcow2Error QCOW2_UNEXPECTED
 */
export async function writeIndex(files: DiskFiles, target: string, signal: AbortSignal): Promise<void> {
  const raw = await open(files.raw, 'r');
  try {
    const qcow2 = await open(files.qcow2, 'r');
    try {
      await writeFile(target, await makeIndex(raw, qcow2, signal), { flag: 'wx' });
    } finally {
      await qcow2.close();
    }
  } finally {
    await raw.close();
  }
}

async function makeIndex(raw: FileHandle, qcow2: FileHandle, signal: AbortSignal): Promise<Buffer> {
  const { size: fileBytes } = await qcow2.stat();
  const layout = await readLayout(qcow2);
  const clusterBytes = 2 ** layout.clusterBits;
  const keysPerCluster = (clusterBytes / BLOCK_BYTES) * KEY_BYTES;
  const keys = Buffer.alloc(layout.clusters.length * keysPerCluster);
  const content = Buffer.alloc(clusterBytes);
  const stored = Buffer.alloc(2 * clusterBytes);
  const clusters: IndexedCluster[] = [];
  for (const [place, cluster] of layout.clusters.entries()) {
    throwIfCancelled(signal);
    const data = await readInto(stored.subarray(0, cluster.length), qcow2, cluster.offset);
    const length = cluster.compressed ? frameLength(data) : cluster.length;
    clusters.push({ ...cluster, length, sha256: hash('sha256', data.subarray(0, length), 'buffer') });
    await readInto(content, raw, cluster.index * clusterBytes);
    for (let block = 0; block * BLOCK_BYTES < clusterBytes; block++) {
      const bytes = content.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES);
      const key = bytes.equals(ZERO_BLOCK) ? ZERO_KEY : keyOf(bytes);
      key.copy(keys, place * keysPerCluster + block * KEY_BYTES);
    }
  }
  const literals = await readLiterals(qcow2, fileBytes, clusters);
  return formatIndex({ fileBytes, diskBytes: layout.diskBytes, clusterBytes, clusters, literals, keys });
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

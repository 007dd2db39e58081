// Converts a raw disk file to qcow2 (https://www.qemu.org/docs/master/interop/qcow2.html).
import { chmod, rename, rm } from 'node:fs/promises';
import type { StageContext } from '../executors/stage.ts';

export interface Qcow2Options {
  compress: boolean;
  /** zstd needs QEMU 5.1 at the reader's, zlib any. */
  compressionType: 'zstd' | 'zlib';
}

// Each cluster is compressed by itself: larger ones compress better and faster, and cost more per random read of the
// compressed image. Nodes write the image to their disk once, from start to end; see docs/disk-images.md for numbers.
const COMPRESSED_CLUSTER = '1M';

/** Writes `raw` to `output`, which appears by rename. The same bytes in give the same bytes out. */
export async function convertToQcow2(
  raw: string,
  output: string,
  options: Qcow2Options,
  { sandbox, signal }: StageContext,
): Promise<void> {
  const partial = `${output}.partial`;
  const format = options.compress
    ? ['-c', '-o', `compression_type=${options.compressionType},cluster_size=${COMPRESSED_CLUSTER}`]
    : [];
  try {
    // More coroutines keep both cores busy; -W (out of order) would make the output depend on timing.
    await sandbox.run(
      ['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', '-m', '16', ...format, raw, partial],
      { signal },
    );
    // Web servers serve it.
    await chmod(partial, 0o644);
    await rename(partial, output);
  } finally {
    await rm(partial, { force: true });
  }
}

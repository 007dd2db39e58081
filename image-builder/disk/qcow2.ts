// Converts a raw disk file to qcow2 (https://www.qemu.org/docs/master/interop/qcow2.html).
import { chmod, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeBeside } from '../base/files/replace.ts';
import type { StageContext } from '../sandbox/stage-context.ts';
import { orderQcow2 } from './qcow2-order.ts';

/** How a disk is compressed. */
export interface Qcow2Options {
  compress: boolean;
  /** zstd needs QEMU 5.1 at the reader's, zlib any. */
  compressionType: 'zstd' | 'zlib';
}

// Each cluster is compressed by itself: larger ones compress better and faster, and cost more per random read of the
// compressed image. Nodes write the image to their disk once, from start to end; see docs/explanation/disk-images.md for numbers.
const COMPRESSED_CLUSTER = '1M';

/** Writes `raw` to `output`, which appears by rename. The same bytes in give the same bytes out. */
export async function convertToQcow2(
  raw: string,
  output: string,
  options: Qcow2Options,
  { sandbox, signal, workDir }: StageContext,
): Promise<void> {
  const unordered = join(workDir, 'unordered.qcow2');
  const { compress, compressionType } = options;
  const format = compress
    ? ['-c', '-o', `compression_type=${compressionType},cluster_size=${COMPRESSED_CLUSTER}`]
    : [];
  const convert = (to: string, ...extra: string[]) =>
    sandbox.run(
      ['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', '-m', '16', ...format, ...extra, raw, to],
      {
        signal,
      },
    );
  try {
    await makeBeside(output, async (partial) => {
      // Out of order (-W) clusters are compressed side by side, otherwise one after the other.
      if (compress && compressionType === 'zstd') {
        await convert(unordered, '-W');
        await orderQcow2(unordered, partial, signal);
      } else {
        await convert(partial);
      }
      // Web servers serve it.
      await chmod(partial, 0o644);
    });
  } finally {
    await rm(unordered, { force: true });
  }
}

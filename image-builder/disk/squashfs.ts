// Packs a root file system tree into a squashfs.
import type { StageContext } from '../sandbox/stage-context.ts';
import { DiskError } from './disk-error.ts';

/** How a squashfs is packed. */
export interface SquashfsOptions {
  compression: 'zstd' | 'lz4' | 'gzip' | 'xz' | 'lzo';
  /** 0: one per processor. */
  threads: number;
  /** 0: no limit. */
  timeoutSeconds: number;
}

// zstd: level 3 takes a twelfth of the default's (15) time and gives a file that is an eighth larger. lz4: who chooses it wants
// speed; its high compression (-Xhc) takes twenty times as long as zstd, and the file is larger than zstd's nevertheless.
const COMPRESSOR_OPTIONS: Record<SquashfsOptions['compression'], readonly string[]> = {
  zstd: ['-Xcompression-level', '3'],
  lz4: [],
  gzip: [],
  xz: [],
  lzo: [],
};

/** The live system's kernel lies on the ISO itself. Patterns of mksquashfs, relative to the tree. */
const EXCLUDED = ['boot/vmlinuz-*', 'boot/initrd.img-*'];

/**
 * Writes the squashfs of `tree` to `output`. No time but the context's source date is in it.
 * @throws DiskError TIMEOUT
 */
export async function makeSquashfs(
  tree: string,
  output: string,
  { compression, threads, timeoutSeconds }: SquashfsOptions,
  { sandbox, signal, sourceDateEpoch }: StageContext,
): Promise<void> {
  const timeout = timeoutSeconds > 0 ? AbortSignal.timeout(timeoutSeconds * 1000) : undefined;
  const argv = [
    ...['mksquashfs', tree, output, '-noappend', '-no-progress', '-quiet', '-no-exports'],
    ...['-comp', compression, ...COMPRESSOR_OPTIONS[compression]],
    ...(threads > 0 ? ['-processors', `${threads}`] : []),
    ...['-wildcards', '-e', ...EXCLUDED],
  ];
  try {
    await sandbox.run(argv, {
      env: { SOURCE_DATE_EPOCH: `${sourceDateEpoch}` },
      signal: timeout ? AbortSignal.any([signal, timeout]) : signal,
    });
  } catch (error) {
    if (!timeout?.aborted || signal.aborted) throw error;
    throw new DiskError('TIMEOUT', `packing the live system took longer than ${timeoutSeconds} s`, {
      cause: error,
      hint: 'Raise squashfs_timeout, or choose a faster mksquashfs_compression.',
    });
  }
}

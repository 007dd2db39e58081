// Whether the images fit the disks: told before they are fetched, and before a disk is made.
import { planPartitions } from '../../disk/partition-table.ts';
import { formatMib } from '../../disk/size.ts';
import { PRELOAD_DIRECTORY } from '../../spec/variables/kubernetes/preload.ts';
import type { ResolvedBuild } from '../../spec/variables/resolved.ts';
import { PreloadError } from './preload-error.ts';

/** File systems need room for themselves. */
const USABLE_SHARE = 0.9;

/**
 * Does nothing when images of so many bytes fit the partition of each disk that they go into.
 * @throws PreloadError PRELOAD_TOO_LARGE
 */
export function requireSpace(
  bytes: number,
  { qcows, rootfs }: Pick<ResolvedBuild, 'qcows' | 'rootfs'>,
): void {
  for (const [name, { qcow }] of Object.entries(qcows)) {
    const { partitions } = planPartitions(qcow, '', rootfs.multistrap.rootfs_arch);
    const holder = partitions
      .filter(
        ({ mount }) =>
          mount !== undefined && `${PRELOAD_DIRECTORY}/`.startsWith(`${mount.replace(/\/$/, '')}/`),
      )
      .sort((a, b) => (b.mount?.length ?? 0) - (a.mount?.length ?? 0))[0];
    if (holder === undefined || bytes <= holder.sizeBytes * USABLE_SHARE) continue;
    throw new PreloadError(
      'PRELOAD_TOO_LARGE',
      `the images take ${formatMib(bytes)}, and the partition of ${holder.mount} of qcows.${name} (number ${holder.number}) has ${formatMib(holder.sizeBytes)}`,
      { hint: 'make the partition or qcow_capacity larger, or preload fewer images' },
    );
  }
}

// What decides an ISO. Pure.
import { hashOf } from '../../pipeline/keys.ts';
import type { ResolvedBuild } from '../../spec/variables/resolved.ts';

/** What decides an ISO. */
export type IsoInputs = ReturnType<typeof isoInputs>;

export function isoInputs(
  livecdcontent: ResolvedBuild['rootfs']['livecdcontent'],
  iso: NonNullable<ResolvedBuild['iso']>,
) {
  // Threads and patience change no byte.
  const { mksquashfs_threads: _, squashfs_timeout: __, ...live } = livecdcontent;
  // The hash: cloud-init's data holds passwords and keys, and inputs are written down.
  return { livecdcontent: live, iso: hashOf(iso) };
}

// What decides an ISO. Pure.
import { hashOf } from '../../pipeline/keys.ts';
import type { ResolvedBuild } from '../../spec/variables/resolved.ts';

/** What decides an ISO. */
export type IsoInputs = ReturnType<typeof isoInputs>;

/** Takes out of the variables what the bytes of the ISO depend on. */
export function isoInputs(
  livecdcontent: ResolvedBuild['rootfs']['livecdcontent'],
  iso: NonNullable<ResolvedBuild['iso']>,
) {
  // Threads and patience change no byte.
  const { mksquashfs_threads: _, squashfs_timeout: __, ...live } = livecdcontent;
  // The hash: cloud-init's data holds passwords and keys, and inputs are written down.
  return { livecdcontent: live, iso: hashOf(iso) };
}

// The ways in which writing a disk image or an ISO can fail.
import { ImageBuilderError } from '../base/diagnostics/error.ts';

export type DiskErrorCode =
  /** The content of the tree does not fit into its partition. */
  | 'DOES_NOT_FIT'
  /** The tree lacks part of a bootable image (a kernel, an initramfs), or contains an unsafe path. */
  | 'TREE_UNUSABLE'
  /** Neither the image nor this machine has the files of the boot loader. */
  | 'NO_BOOT_LOADER'
  /** A step exceeded the time limit set by the variables. */
  | 'TIMEOUT';

/** An error of disk assembly. */
export class DiskError extends ImageBuilderError<DiskErrorCode> {}

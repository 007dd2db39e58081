// The ways in which writing a disk image or an ISO can fail.
import { ImageBuilderError } from '../base/diagnostics/error.ts';

export type DiskErrorCode =
  /** The content of the tree needs more room than its partition has. */
  | 'DOES_NOT_FIT'
  /** The tree lacks something that a bootable image needs (a kernel, an initramfs), or a path in it cannot be trusted. */
  | 'TREE_UNUSABLE'
  /** Neither the image nor this machine has the boot loader's files. */
  | 'NO_BOOT_LOADER'
  /** A step took longer than the variables allow. */
  | 'TIMEOUT'
  /** qemu-img has written an image with something in it that it was not expected to write. */
  | 'QCOW2_UNEXPECTED';

/** An error of disk assembly. */
export class DiskError extends ImageBuilderError<DiskErrorCode> {}

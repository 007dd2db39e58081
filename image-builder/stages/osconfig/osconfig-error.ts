// The errors of configuring the operating system.
import { ImageBuilderError } from '../../base/diagnostics/error.ts';

export type OsconfigErrorCode =
  /** A task of the role failed: a script, a download, a unit that does not exist, ... */
  | 'TASK_FAILED'
  /** The initramfs could not be built. */
  | 'INITRAMFS_FAILED';

/** The tree of an image could not be configured. */
export class OsconfigError extends ImageBuilderError<OsconfigErrorCode> {}

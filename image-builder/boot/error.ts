// The ways in which a boot test can fail.
import { ImageBuilderError } from '../diagnostics/error.ts';

export type BootErrorCode =
  /** The firmware, the boot loader or early user space gave up; the message says what was met. */
  | 'BOOT_FAILED'
  /** The kernel panicked or met an Oops. */
  | 'KERNEL_CRASHED'
  /** The image did not get to where it should within the time. */
  | 'TIMEOUT'
  /** QEMU ended by itself, or could not be started. */
  | 'EMULATOR_FAILED'
  /** No UEFI firmware for virtual machines on this machine. */
  | 'FIRMWARE_MISSING'
  /** The image is not there, or is none. */
  | 'IMAGE_UNREADABLE'
  | 'ABORTED';

/** An error of a boot test; `output` has the last lines of the console. */
export class BootError extends ImageBuilderError<BootErrorCode> {}

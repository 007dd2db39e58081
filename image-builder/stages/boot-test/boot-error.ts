// The ways in which a boot test can fail.
import { type Finding, ImageBuilderError } from '../../base/diagnostics/error.ts';

export type BootErrorCode =
  /** The firmware, the boot loader or early user space gave up; the message says where. */
  | 'BOOT_FAILED'
  /** The kernel panicked or reported an Oops. */
  | 'KERNEL_CRASHED'
  /** The image did not reach the login prompt in time. */
  | 'TIMEOUT'
  /** Tests inside the booted image have failed. */
  | 'TESTS_FAILED'
  /** The control plane that the image was to join could not be started, or has ended. */
  | 'CONTROL_PLANE_FAILED'
  /** QEMU exited by itself, or could not be started. */
  | 'EMULATOR_FAILED'
  /** This machine has no UEFI firmware for virtual machines. */
  | 'FIRMWARE_MISSING'
  /** The file does not exist, or is not an image. */
  | 'IMAGE_UNREADABLE';

/** What was seen of a machine until it failed. */
export interface Evidence {
  /** The whole text of its console. */
  console: string;
  /** PNG file with its screen; absent when it has none. */
  screenshot?: string;
}

/** An error of a boot test; `output` has the last lines of the console. */
export class BootError extends ImageBuilderError<BootErrorCode> {
  /** Absent when there was no machine. */
  evidence?: Evidence;

  override findings(): Finding[] {
    const findings = super.findings();
    const screenshot = this.evidence?.screenshot;
    if (screenshot === undefined) return findings;
    return findings.map((finding) => ({ ...finding, message: `${finding.message}\nscreen: ${screenshot}` }));
  }
}

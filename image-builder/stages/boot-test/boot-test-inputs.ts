// What decides a boot test, and what it notes.
import type { Architecture } from '../../base/architecture.ts';

/** How the image is booted. The time that the test waits is not among it: a patient test is worth no more than a quick one. */
export interface BootTestInputs {
  firmware: 'bios' | 'uefi';
  architecture: Architecture;
}

/** Facts of the entry. */
export interface BootTestFacts {
  /** Until the login prompt. */
  seconds: number;
  /** QEMU's: `kvm`, `tcg`. */
  accelerator: string;
}

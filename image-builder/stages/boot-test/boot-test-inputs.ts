// What decides a boot test, and what it notes.
import type { Architecture } from '../../base/architecture.ts';
import type { ImageTest, KubernetesProof } from '../../spec/variables/resolved-tests.ts';

/** How the image is booted. The time that the test waits is not among it: a patient test is worth no more than a quick one. */
export interface BootTestInputs {
  firmware: 'bios' | 'uefi';
  architecture: Architecture;
  /** What kubeadm inside of the image has to prove; absent: nothing. */
  kubernetes?: KubernetesProof;
  /** What else must hold in the booted image; absent: nothing. */
  tests?: ImageTest[];
}

/** Facts of the entry. */
export interface BootTestFacts {
  /** Until the login prompt, or the end of the tests inside of the image. */
  seconds: number;
  /** QEMU's: `kvm`, `tcg`. */
  accelerator: string;
  /** Until the node that the image has become was Ready in a cluster. */
  readySeconds?: number;
}

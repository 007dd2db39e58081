// How a booted image is proven to be a node of a cluster, whoever is its control plane.
import type { ImageTest } from '../../spec/variables/resolved-tests.ts';
import type { Accelerator } from './accelerator.ts';
import type { MachineIdentity } from './config-drive.ts';
import type { GuestReport, GuestTestResult, UnmetTest } from './guest-tests.ts';
import type { Machine } from './qemu-command.ts';
import type { Trial } from './run-machine.ts';

/** What comes of a machine whose own tests are met. */
export interface Proof extends Trial {
  readonly results: readonly GuestTestResult[];
  /** Those that were not met, and those that were not tried any more. */
  readonly unmet: readonly UnmetTest[];
  /** Wall time until a node was Ready for the first time, on the clock of `performance.now()`. */
  readonly readyAt: number | undefined;
}

/** What surrounds a machine meanwhile. */
export interface Proving {
  /** Run in the machine, after all others. */
  tests: readonly ImageTest[];
  machine: Pick<Machine, 'network' | 'cable'>;
  /** Absent: that of the only machine. */
  identity?: MachineIdentity;
  /** Before the machine starts, also when it starts once more under another accelerator. */
  begin(): Promise<void>;
  /** @param report of the machine, empty yet */
  proof(report: GuestReport, accelerator: Accelerator): Proof;
  /** Ends what it has started, and removes what it has written. */
  stop(): Promise<void>;
}

// The shared store as a build in a cluster uses it: nothing else has what is in it, and a registry may be restarted meanwhile.
import { setTimeout as delay } from 'node:timers/promises';
import { throwIfCancelled } from '../../base/diagnostics/cancelled.ts';
import type { Reporter } from '../../base/diagnostics/progress.ts';
import { RegistryError } from '../../oci/http/registry-error.ts';

/** How long a registry that fails is tried again, in milliseconds. */
const PATIENCE = 180_000;
const PAUSE = 3000;
/** What a registry says that is being restarted, or has too much to do. */
const MAY_PASS: ReadonlySet<string> = new Set(['NETWORK', 'TIMEOUT', 'RATE_LIMITED', 'SERVER']);

/** Does something with a registry; while that fails in a way that may pass, again. @throws RegistryError, CancelledError */
export async function patiently<Result>(
  use: () => Promise<Result>,
  { report, signal }: { report: Reporter; signal: AbortSignal },
): Promise<Result> {
  for (const began = performance.now(); ; ) {
    try {
      return await use();
    } catch (error) {
      throwIfCancelled(signal);
      const passes = error instanceof RegistryError && MAY_PASS.has(error.code);
      if (!passes || performance.now() - began > PATIENCE) throw error;
      report({ type: 'step', stage: 'store', message: `${error.message}; trying again` });
      await delay(PAUSE, undefined, { signal }).catch(() => {});
    }
  }
}

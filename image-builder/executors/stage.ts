// What every stage of a build gets from the executor that runs it.
import type { Reporter } from '../diagnostics/progress.ts';
import type { Sandbox } from './sandbox.ts';

/** The surroundings of a running stage. */
export interface StageContext {
  /** Name of the stage, for progress events: `rootfs`, `osconfig`, `qcow/control-plane`, ... */
  stage: string;
  /** Private scratch directory; the executor removes it afterwards, whatever happens. */
  workDir: string;
  /** Where the stage writes its results; renamed into the store as a whole when the stage succeeds. */
  outputDir: string;
  sandbox: Sandbox;
  report: Reporter;
  signal: AbortSignal;
  /** Time stamp of everything that is written, in seconds since the epoch (https://reproducible-builds.org/specs/source-date-epoch/). */
  sourceDateEpoch: number;
}

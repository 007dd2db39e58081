// What every stage of a build gets from the executor that runs it.
import type { Reporter } from '../base/diagnostics/progress.ts';
import type { Sandbox } from './sandbox.ts';
import type { Memory } from './tmpfs.ts';

/** The surroundings of a running stage. */
export interface StageContext {
  /** Name of the stage, for progress events: `rootfs`, `osconfig`, `qcow/control-plane`, ... */
  stage: string;
  /** Private scratch directory; the executor removes it afterwards, whatever happens. */
  workDir: string;
  /** Where the stage writes its results; renamed into the store as a whole when the stage succeeds. */
  outputDir: string;
  sandbox: Sandbox;
  /** For what is large and need not be kept; absent where there is none. See {@link roomFor}. */
  memory?: Pick<Memory, 'reserve'>;
  /** Tells the step that the stage is in now. */
  step(message: string): void;
  /** Passes on a line that a tool has printed. */
  output(line: string): void;
  /** Tells the bytes done so far of the step that the stage is in. */
  bytes(done: number): void;
  /** The stage's log; a file that explains a failure lies beside it. Absent where no log is kept. */
  logFile?: string;
  signal: AbortSignal;
  /** Time stamp of everything that is written, in seconds since the epoch (https://reproducible-builds.org/specs/source-date-epoch/). */
  sourceDateEpoch: number;
}

/** How a stage tells its progress, without repeating its name. */
export function progressOf(
  stage: string,
  report: Reporter,
): Pick<StageContext, 'stage' | 'step' | 'output' | 'bytes'> {
  return {
    stage,
    step: (message) => report({ type: 'step', stage, message }),
    output: (line) => report({ type: 'output', stage, line }),
    bytes: (done) => report({ type: 'bytes', stage, done }),
  };
}

/**
 * A directory with room for about that many bytes, in memory where there is enough of it, otherwise the work directory.
 * Only commands in the sandbox see what is in it; the executor removes it.
 */
export async function roomFor(bytes: number, { memory, workDir }: StageContext): Promise<string> {
  return (await memory?.reserve(bytes)) ?? workDir;
}

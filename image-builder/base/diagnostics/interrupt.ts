// Turns SIGINT, SIGTERM and SIGHUP into an AbortSignal, so that a run ends by cleaning up after itself.
import { constants } from 'node:os';
import { ImageBuilderError } from './error.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** How long cleaning up may take, in milliseconds: what a caller waits before it kills is seldom more. */
const GRACE = 30_000;

/** A signal ended the run. */
export class InterruptedError extends ImageBuilderError<'INTERRUPTED'> {
  /** What a shell reports for a process that the signal ended: 130 for SIGINT, 143 for SIGTERM. */
  readonly exitCode: number;

  constructor(signal: (typeof SIGNALS)[number]) {
    super('INTERRUPTED', `interrupted by ${signal}`);
    this.exitCode = 128 + constants.signals[signal];
  }
}

/** The signals of this process as one AbortSignal. */
export interface Interrupt {
  signal: AbortSignal;
  /** Restores the default effect of the signals. */
  dispose(): void;
}

/**
 * Listens for the signals that end a process. The first one aborts. A second one ends the process at once, for a user
 * who does not want to wait for the cleanup; so does the end of the time that the cleanup may take.
 */
export function listenForInterrupt(): Interrupt {
  const controller = new AbortController();
  let grace: NodeJS.Timeout | undefined;
  const listeners = SIGNALS.map((name) => {
    const listener = () => {
      const reason = new InterruptedError(name);
      if (controller.signal.aborted) process.exit(reason.exitCode);
      grace = setTimeout(() => process.exit(reason.exitCode), GRACE).unref();
      controller.abort(reason);
    };
    process.on(name, listener);
    return [name, listener] as const;
  });
  return {
    signal: controller.signal,
    dispose() {
      clearTimeout(grace);
      for (const [name, listener] of listeners) process.off(name, listener);
    },
  };
}

/** The exit status that an interrupted run must end with; undefined when nothing interrupted it. */
export function interruptExitCode(signal: AbortSignal): number | undefined {
  return signal.reason instanceof InterruptedError ? signal.reason.exitCode : undefined;
}

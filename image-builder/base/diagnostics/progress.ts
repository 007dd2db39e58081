// What a long-running operation tells while it runs. The engine emits events; the CLI and the function render them.

/** Something that happened in a long-running operation. */
export type ProgressEvent =
  /** A stage of a build began or ended. `seconds` is wall time since the stage began. */
  | { type: 'stage'; stage: string; status: 'started' | 'waiting' }
  | { type: 'stage'; stage: string; status: 'finished' | 'cached' | 'failed'; seconds: number }
  /** Another stage has failed, or the user has interrupted the build. */
  | { type: 'stage'; stage: string; status: 'stopped'; seconds: number }
  /** The step that the stage is in now. */
  | { type: 'step'; stage: string; message: string }
  /** Bytes moved so far; `total` is absent when unknown. */
  | { type: 'bytes'; stage: string; done: number; total?: number }
  /** One line that a tool printed (already free of credentials). */
  | { type: 'output'; stage: string; line: string };

/** Receives progress events; must not throw. */
export type Reporter = (event: ProgressEvent) => void;

/** Drops all events. */
export const silentReporter: Reporter = () => {};

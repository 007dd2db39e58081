// The log of a stage: every step and every line of output, kept in the store beside the results.
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { ProgressEvent } from '../base/diagnostics/progress.ts';

/** An open log. */
export interface StageLog {
  readonly path: string;
  write(event: ProgressEvent): void;
  close(): Promise<void>;
}

/** Starts a new log. */
export async function openStageLog(path: string): Promise<StageLog> {
  // It may be another user's.
  await rm(path, { force: true }).catch(() => {});
  const stream = createWriteStream(path, { flags: 'wx', mode: 0o600 });
  // A log that cannot be written (a full disk) must not hide the error of the stage.
  let broken = false;
  stream.on('error', () => {
    broken = true;
  });
  return {
    path,
    write: (event) => {
      if (broken) return;
      if (event.type === 'step') stream.write(`== ${event.message}\n`);
      if (event.type === 'output') stream.write(`${event.line}\n`);
    },
    close: () =>
      new Promise((resolve) => {
        stream.once('close', () => resolve());
        stream.end();
      }),
  };
}

// Answers: runs, writes the list to standard output and the findings to standard error, sets the exit status.

import type { Finding } from '../../image-builder/base/diagnostics/error.ts';
import { interruptExitCode, listenForInterrupt } from '../../image-builder/base/diagnostics/interrupt.ts';
import { plainReporter } from '../../image-builder/base/diagnostics/render.ts';
import { fail, writeLine, writeOut } from '../../image-builder/base/diagnostics/standard-streams.ts';
import { PROFILES_DIRECTORY } from '../../image-builder/bundle/model.ts';
import type { RunContext } from './run.ts';

/** What goes out of the process. */
export interface Answer {
  /** Text for standard output. */
  output: string;
  findings: Finding[];
  /** Lines for standard error. */
  lines: string[];
}

/** Runs and answers; a signal ends the run early, with what it has to clean up, and the answer still comes. */
export async function answer(run: (context: RunContext) => Promise<Answer>): Promise<void> {
  const interrupt = listenForInterrupt();
  try {
    const { findings, output, lines } = await run({
      cwd: process.cwd(),
      profilesDirectory: PROFILES_DIRECTORY,
      report: plainReporter(writeLine),
      signal: interrupt.signal,
    });
    const isFailure = findings.some(({ severity }) => severity === 'error');
    if (isFailure) fail(lines, interruptExitCode(interrupt.signal) ?? 1);
    else for (const line of lines) writeLine(line);
    writeOut(output);
  } finally {
    interrupt.dispose();
  }
}

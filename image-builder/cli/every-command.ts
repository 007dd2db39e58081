// The whole command line; loaded for everything but the commands that only read.
import { fail } from '../base/diagnostics/standard-streams.ts';
import { COMMANDS } from './commands.ts';
import { runProgram } from './run-program.ts';

/** Runs the command of the process's arguments, whichever it is. */
export function runEveryCommand(): Promise<void> {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // A reader that goes away (`| head`) needs no report.
    fail(error.code === 'EPIPE' ? [] : [`error: standard output cannot be written: ${error.message}`]);
  });
  return runProgram(COMMANDS);
}

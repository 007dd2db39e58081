// The whole command line. In the bundled executable this module is packed: it is a program of its own, compressed, that
// is only unpacked when it is called (scripts/build.mjs). So it shares no state with its caller.
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

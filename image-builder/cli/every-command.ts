// The whole command line. In the bundled executable this module is packed: it is a program of its own, compressed, that
// is only unpacked when it is called (scripts/build.mjs). So it shares no state with its caller.
import { COMMANDS } from './commands.ts';
import { runProgram } from './run-program.ts';

/** Runs the command of the process's arguments, whichever it is. */
export function runEveryCommand(): Promise<void> {
  // A reader that goes away (`| head`) is no reason for a stack trace.
  process.stdout.on('error', () => {
    process.exitCode = 1;
  });
  return runProgram(COMMANDS);
}

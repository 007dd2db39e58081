// Entry point of `image-builder`, the command line: starts the smallest program that has the command.
import { READING_COMMANDS } from './reading-commands.ts';
import { runProgram } from './run-program.ts';

void main(process.argv[2]);

/** Anything but a reading command, options before the command included, is answered by the whole program. */
async function main(name: string | undefined): Promise<void> {
  const register = READING_COMMANDS.get(name ?? '');
  if (register) return runProgram([register]);
  const { runEveryCommand } = await import('./every-command.ts');
  return runEveryCommand();
}

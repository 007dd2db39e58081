// Entry point of `image-builder`, the command line.
import { Command, Option } from 'commander';
import { findingsOf, formatFinding } from '../diagnostics/error.ts';
import { interruptExitCode } from '../diagnostics/interrupt.ts';
import { version } from '../embedded/release.ts';
import { COMMANDS } from './commands.ts';
import { endContext } from './context.ts';

const program = new Command('image-builder')
  .description('Declarative builder of node images for bare-metal Kubernetes')
  .version(version)
  .addOption(
    new Option(
      '--log-format <format>',
      'how progress is shown on standard error; auto: live on a terminal, else plain',
    )
      .choices(['auto', 'plain', 'json'])
      .default('auto'),
  )
  .option('-v, --verbose', 'also show what tools print')
  .showHelpAfterError('(see --help)');
for (const register of COMMANDS) register(program);

// A reader that goes away (`| head`) is no reason for a stack trace.
process.stdout.on('error', () => {
  process.exitCode = 1;
});
void main();

/** Runs the command and shows its error; the exit status is that of the signal when one ended the run. */
async function main(): Promise<void> {
  let lines: string[] = [];
  try {
    await program.parseAsync();
  } catch (error) {
    lines = findingsOf(error).map(formatFinding);
    process.exitCode = 1;
  }
  const signal = endContext();
  const exitCode = signal && interruptExitCode(signal);
  if (exitCode !== undefined) {
    process.exitCode = exitCode;
    // How the engine fails when it is interrupted says nothing more.
    lines = findingsOf(signal?.reason).map(formatFinding);
  }
  for (const line of lines) process.stderr.write(`${line}\n`);
}

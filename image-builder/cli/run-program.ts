// Runs the command line with a set of commands: global options, errors, exit status.
import { Command, Option } from 'commander';
import { findingsOf, formatFinding } from '../base/diagnostics/error.ts';
import { interruptExitCode } from '../base/diagnostics/interrupt.ts';
import { writeLine, writeOut } from '../base/diagnostics/standard-streams.ts';
import { version } from '../embedded/release.ts';
import type { Register } from './commands.ts';
import { endContext, explained } from './context.ts';

/** The command line with these commands; it has parsed nothing yet. */
export function createProgram(commands: readonly Register[]): Command {
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
    .configureOutput({ writeOut, writeErr: (text) => writeLine(text.trimEnd()) })
    .showHelpAfterError('(see --help)');
  for (const register of commands) register(program);
  return program;
}

/**
 * Runs the command that the process's arguments name and shows its error. Never throws: the outcome is in
 * `process.exitCode`, that of the signal when one ended the run.
 */
export async function runProgram(commands: readonly Register[]): Promise<void> {
  const program = createProgram(commands);
  let lines: string[] = [];
  try {
    await program.parseAsync();
  } catch (error) {
    lines = findingsOf(error).map((finding) => formatFinding(explained(finding)));
    process.exitCode = 1;
  }
  const signal = endContext();
  const exitCode = signal && interruptExitCode(signal);
  if (exitCode !== undefined) {
    process.exitCode = exitCode;
    // How the engine fails when it is interrupted says nothing more.
    lines = findingsOf(signal?.reason).map(formatFinding);
  }
  for (const line of lines) writeLine(line);
}

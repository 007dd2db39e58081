// Runs the command line with a set of commands: global options, errors, exit status.
import { Command, Option } from 'commander';
import { type Finding, findingsOf, formatFinding } from '../base/diagnostics/error.ts';
import { interruptExitCode } from '../base/diagnostics/interrupt.ts';
import { formatFindingAsJson } from '../base/diagnostics/render.ts';
import { writeLine, writeOut } from '../base/diagnostics/standard-streams.ts';
import { toTheEnd } from '../base/diagnostics/to-the-end.ts';
import { version } from '../embedded/release.ts';
import type { Register } from './commands.ts';
import { endContext, explained, type GlobalOptions } from './context.ts';

/** The command line with these commands; it has parsed nothing yet. */
export function createProgram(commands: readonly Register[]): Command {
  const program = new Command('image-builder')
    .description('Declarative builder of node images for bare-metal Kubernetes')
    .version(version)
    .addOption(
      new Option(
        '--log-format <format>',
        'how progress is shown on standard error; auto: live on a terminal, plain otherwise',
      )
        .choices(['auto', 'plain', 'json'])
        .default('auto'),
    )
    .option('-v, --verbose', 'also show the output of tools')
    .configureOutput({ writeOut, writeErr: (text) => writeLine(text.trimEnd()) })
    .showHelpAfterError('(see --help)');
  for (const register of commands) register(program);
  return program;
}

/**
 * Runs the command that the process's arguments name and shows its error. Never throws: the outcome is in
 * `process.exitCode`, that of the signal when one ended the run.
 */
export const runProgram = (commands: readonly Register[]): Promise<void> => toTheEnd(() => run(commands));

async function run(commands: readonly Register[]): Promise<void> {
  const program = createProgram(commands);
  let findings: Finding[] = [];
  try {
    await program.parseAsync();
  } catch (error) {
    findings = findingsOf(error).map(explained);
    process.exitCode = 1;
  }
  const signal = endContext();
  const exitCode = signal && interruptExitCode(signal);
  if (exitCode !== undefined) {
    process.exitCode = exitCode;
    // How an interrupted engine fails adds nothing.
    findings = findingsOf(signal?.reason);
  }
  const format = program.opts<GlobalOptions>().logFormat === 'json' ? formatFindingAsJson : formatFinding;
  for (const finding of findings) writeLine(format(finding));
}

// The function as a process: arguments, streams, signals and exit status.
import { fstatSync, readSync, writeSync } from 'node:fs';
import { PROFILES_DIRECTORY } from '../../image-builder/bundle/types.ts';
import { findingsOf, formatFinding } from '../../image-builder/diagnostics/error.ts';
import { interruptExitCode, listenForInterrupt } from '../../image-builder/diagnostics/interrupt.ts';
import { plainReporter } from '../../image-builder/diagnostics/render.ts';
import { type RunResult, runOnResourceList } from './run.ts';

/** Runs the function with the arguments of its process; never throws, the outcome is in `process.exitCode`. */
export async function runFunction(args: string[]): Promise<void> {
  try {
    await dispatch(args);
  } catch (error) {
    fail(findingsOf(error).map(formatFinding));
  }
}

async function dispatch(args: string[]): Promise<void> {
  const option = args.find((arg) => arg.startsWith('-') && arg !== '-');
  if (option === '--help' || option === '-h') return writeOut((await import('./help.ts')).help());
  if (option === '--version')
    return writeOut(`${(await import('../../image-builder/embedded/release.ts')).version}\n`);
  if (option !== undefined || args.length > 2) {
    return fail(['usage: image-builder-fn [CONFIG.yaml [INPUT.yaml|-]] < RESOURCE_LIST; see --help'], 2);
  }
  const [configPath, inputPath] = args;
  if (configPath !== undefined) {
    const { runStandalone } = await import('./standalone.ts');
    const input = inputPath === '-' ? await readStandardInput() : undefined;
    return interruptible((context) => runStandalone({ configPath, inputPath, input }, context));
  }
  if (await isTerminal())
    return fail(['error: standard input is a terminal, expected a ResourceList; see --help']);
  const text = await readStandardInput();
  return interruptible(async (context) => {
    const result = await runOnResourceList(text, context);
    return { ...result, output: result.list.toString() };
  });
}

type RunContext = Parameters<typeof runOnResourceList>[1];

/** Runs and answers; a signal ends the run early, with what it has to clean up, and the answer still comes. */
async function interruptible(
  run: (
    context: RunContext,
  ) => Promise<Pick<RunResult, 'findings' | 'ok'> & { output: string; lines?: string[] }>,
): Promise<void> {
  const interrupt = listenForInterrupt();
  const report = plainReporter((line) => process.stderr.write(`${line}\n`));
  const context = {
    cwd: process.cwd(),
    profilesDirectory: PROFILES_DIRECTORY,
    report,
    signal: interrupt.signal,
  };
  try {
    const { findings, ok, output, lines } = await run(context);
    const told = lines ?? findings.filter(({ severity }) => severity !== 'info').map(formatFinding);
    for (const line of told) process.stderr.write(`${line}\n`);
    writeOut(output);
    // Never process.exit(): what a slow pipe has not taken yet would be lost.
    if (!ok) process.exitCode = interruptExitCode(interrupt.signal) ?? 1;
  } finally {
    interrupt.dispose();
  }
}

/**
 * Standard input to its end. Reading at once spares the start-up of streams; when the other side has made the pipe
 * non-blocking, the rest comes as a stream.
 */
async function readStandardInput(): Promise<string> {
  const chunks: Buffer[] = [];
  try {
    for (;;) {
      const buffer = Buffer.allocUnsafe(1 << 16);
      const length = readSync(0, buffer);
      if (length === 0) break;
      chunks.push(buffer.subarray(0, length));
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Whether a person sits at standard input. A look at process.stdin would make a pipe non-blocking. */
async function isTerminal(): Promise<boolean> {
  return fstatSync(0).isCharacterDevice() && (await import('node:tty')).isatty(0);
}

/** Writes to standard output, at once where that is possible; see {@link readStandardInput}. */
function writeOut(text: string): void {
  let rest = Buffer.from(text);
  try {
    while (rest.length > 0) rest = rest.subarray(writeSync(1, rest));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // A reader that goes away (`| head`) is no reason for a stack trace.
    if (code === 'EPIPE') fail([]);
    else if (code === 'EAGAIN') writeAsStream(rest);
    else throw error;
  }
}

function writeAsStream(text: Buffer): void {
  process.stdout.on('error', () => fail([]));
  process.stdout.write(text);
}

function fail(lines: string[], exitCode = 1): void {
  for (const line of lines) process.stderr.write(`${line}\n`);
  process.exitCode = exitCode;
}

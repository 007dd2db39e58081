// The process that a render with `whenMissing: Trigger` leaves behind: builds what standard input describes, writes
// its progress to standard error (the log), and notes how it has failed.
import { findingsOf, formatFinding } from '../../base/diagnostics/error.ts';
import { listenForInterrupt } from '../../base/diagnostics/interrupt.ts';
import { plainReporter } from '../../base/diagnostics/render.ts';
import { build } from '../build.ts';
import { recordFailure, type TriggeredBuild } from './launch.ts';

/** Never throws; the outcome is in the store, or in the trigger's directory, and in `process.exitCode`. */
export async function runTriggeredBuild(): Promise<void> {
  const interrupt = listenForInterrupt();
  const writeLine = (line: string) => process.stderr.write(`${line}\n`);
  let directory: string | undefined;
  try {
    const request: TriggeredBuild = JSON.parse(await readAll(process.stdin));
    directory = request.directory;
    const { reference } = await build(
      { ...request.resolved, whenMissing: 'Build' },
      {
        ...request.surroundings,
        report: plainReporter(writeLine, { verbose: true }),
        signal: interrupt.signal,
      },
    );
    writeLine(`finished: ${reference.image}`);
  } catch (error) {
    process.exitCode = 1;
    for (const finding of findingsOf(error)) writeLine(formatFinding(finding));
    // Who is stopped has not failed: the next render starts it again.
    if (directory && !interrupt.signal.aborted) await recordFailure(directory, findingsOf(error));
  } finally {
    interrupt.dispose();
  }
}

async function readAll(stream: NodeJS.ReadableStream): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

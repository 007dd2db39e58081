// Runs a program of the builder image in a container with the engine's default capabilities: JSON in, progress on the
// way, JSON out.
import { randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { throwIfCancelled } from '../base/diagnostics/cancelled.ts';
import { type Finding, ImageBuilderError } from '../base/diagnostics/error.ts';
import type { ProgressEvent, Reporter } from '../base/diagnostics/progress.ts';
import type { ContainerConfig, ContainerEngine, ContainerStreams, EngineResult } from './engine.ts';
import { ContainerError } from './engine-error.ts';

/** What the program answers on standard output. */
export type ContainerAnswer<Result> = { result: Result } | { findings: Finding[] };

/** The program in the container failed; carries its findings. */
export class ContainedError extends ImageBuilderError<'BUILD_FAILED'> {
  readonly #findings: Finding[];

  constructor(findings: Finding[]) {
    super('BUILD_FAILED', findings.map(({ message }) => message).join('\n'));
    this.#findings = findings;
  }

  override findings(): Finding[] {
    return this.#findings;
  }

  /** The same finding with the paths of the container replaced by those outside, which is where its reader is. */
  withPaths(inContainer: string, outside: string): ContainedError {
    const findings = this.#findings.map((finding) => ({
      ...finding,
      message: finding.message.replaceAll(`${inContainer}/`, `${outside}/`),
    }));
    return new ContainedError(findings);
  }
}

/** Seconds that a stopped container has for cleaning up. */
const GRACE = 20;

/**
 * Runs a container to its end, or until it is stopped. Whatever happens, it is gone afterwards.
 * @throws CancelledError
 */
export async function runToEnd(
  engine: ContainerEngine,
  config: ContainerConfig,
  streams: ContainerStreams,
  signal: AbortSignal,
): Promise<EngineResult> {
  const name = `image-builder-${randomUUID()}`;
  throwIfCancelled(signal);
  let running = true;
  // Until it has worked: the container may not exist yet when the caller stops.
  const stop = async () => {
    while (running) {
      await engine.stop(name, GRACE);
      await setTimeout(500);
    }
  };
  signal.addEventListener('abort', stop, { once: true });
  try {
    const ended = await engine.run(name, config, streams);
    running = false;
    throwIfCancelled(signal);
    return ended;
  } finally {
    running = false;
    signal.removeEventListener('abort', stop);
    await engine.remove(name);
  }
}

/**
 * Runs a program that takes a line of JSON and answers with JSON.
 * @throws ContainedError with the findings of the program; ContainerError when it did not get that far
 */
export async function runContainer<Result>(
  engine: ContainerEngine,
  config: ContainerConfig,
  input: unknown,
  { report, signal, stage }: { report: Reporter; signal: AbortSignal; stage: string },
): Promise<Result> {
  const streams: ContainerStreams = {
    stdin: `${JSON.stringify(input)}\n`,
    onLine: (line) => report(parseEvent(line) ?? { type: 'output', stage, line }),
  };
  const ended = await runToEnd(engine, config, streams, signal);
  const answer = parseAnswer<Result>(ended.stdout);
  if (answer && 'findings' in answer) throw new ContainedError(answer.findings);
  if (answer === undefined || ended.status !== 0) throw failed(engine, ended);
  return answer.result;
}

/** The error of a container that ended in a way that its program did not choose. */
export function failed({ name }: ContainerEngine, { status, lastLines }: EngineResult): ContainerError {
  return new ContainerError('CONTAINER_FAILED', `the container ended with status ${status}`, {
    output: lastLines,
    hint: hintFor(status, name),
  });
}

/** A line of the program's standard error that is a progress event; other lines are shown as they are. */
export function parseEvent(line: string): ProgressEvent | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const { time: _, ...event } = JSON.parse(line) as ProgressEvent & { time?: unknown };
    return typeof event.type === 'string' && typeof event.stage === 'string'
      ? (event as ProgressEvent)
      : undefined;
  } catch {
    return undefined;
  }
}

function parseAnswer<Result>(stdout: string): ContainerAnswer<Result> | undefined {
  try {
    const answer: unknown = JSON.parse(stdout);
    const isAnswer =
      typeof answer === 'object' && answer !== null && ('result' in answer || 'findings' in answer);
    return isAnswer ? (answer as ContainerAnswer<Result>) : undefined;
  } catch {
    return undefined;
  }
}

function hintFor(status: number, name: string): string {
  if (status === 125) return `${name} could not start the container; its message is above`;
  if (status === 126 || status === 127)
    return 'is this a builder image? It is the target `builder` of the Dockerfile';
  if (status === 137) return 'the container was killed by somebody, or ran out of memory';
  return 'its last output is above';
}

// Runs a program of the builder image in a container with the engine's default capabilities: JSON in, progress on the
// way, JSON out.
import { randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { type Finding, ImageBuilderError } from '../../diagnostics/error.ts';
import type { ProgressEvent, Reporter } from '../../diagnostics/progress.ts';
import type { EngineCommand } from './command.ts';
import type { ContainerEngine } from './engine.ts';
import { ContainerError } from './error.ts';

/** A directory of this machine, or a volume of the engine, in the container. */
export interface ContainerMount {
  type: 'bind' | 'volume';
  source: string;
  target: string;
}

/** What to run. */
export interface ContainerRequest {
  image: string;
  argv: readonly string[];
  /** Sent as one line of JSON; standard input stays open until the end, so that the container notices our death. */
  input: unknown;
  mounts: readonly ContainerMount[];
  /** Network of the engine; `none` where nothing is fetched. */
  network: string | undefined;
  environment: Readonly<Record<string, string>>;
  /** A directory of the container whose content is copied to one of this machine afterwards (remote engines). */
  copyOut?: { from: string; to: string };
}

/** What the program answers on standard output. */
export type ContainerAnswer<Result> = { result: Result } | { findings: Finding[] };

/** The program in the container has failed; carries its own findings. */
export class ContainedError extends ImageBuilderError<'BUILD_FAILED'> {
  readonly #findings: Finding[];

  constructor(findings: Finding[]) {
    super('BUILD_FAILED', findings.map(({ message }) => message).join('\n'));
    this.#findings = findings;
  }

  override findings(): Finding[] {
    return this.#findings;
  }
}

/** Seconds that a stopped container has for cleaning up. */
const GRACE = 20;

/**
 * Runs the program to its end. Whatever happens, the container is gone afterwards.
 * @throws ContainedError with the findings of the program; ContainerError when it did not get that far
 */
export async function runContainer<Result>(
  engine: ContainerEngine,
  request: ContainerRequest,
  command: EngineCommand,
  { report, signal, stage }: { report: Reporter; signal: AbortSignal; stage: string },
): Promise<Result> {
  const name = `image-builder-${randomUUID()}`;
  if (signal.aborted) throw aborted();
  let running = true;
  // Until it has worked: the container may not exist yet when the caller stops.
  const stop = async () => {
    while (running) {
      await command([engine.name, 'stop', '--time', String(GRACE), name]);
      await setTimeout(500);
    }
  };
  signal.addEventListener('abort', stop, { once: true });
  try {
    const ended = await command([engine.name, ...runArguments(name, request)], {
      input: `${JSON.stringify(request.input)}\n`,
      onLine: (line) => report(parseEvent(line) ?? { type: 'output', stage, line }),
    });
    running = false;
    if (signal.aborted) throw aborted();
    const answer = parseAnswer<Result>(ended.stdout);
    if (answer && 'findings' in answer) throw new ContainedError(answer.findings);
    if (answer === undefined || ended.status !== 0) {
      throw new ContainerError('CONTAINER_FAILED', `the container ended with status ${ended.status}`, {
        output: ended.lastLines,
        hint: hintFor(ended.status, engine),
      });
    }
    if (request.copyOut) await copyOut(engine, name, request.copyOut, command);
    return answer.result;
  } finally {
    running = false;
    signal.removeEventListener('abort', stop);
    await command([engine.name, 'rm', '--force', '--volumes', name]);
  }
}

function runArguments(name: string, request: ContainerRequest): string[] {
  const mounts = request.mounts.flatMap(({ type, source, target }) => [
    '--mount',
    `type=${type},source=${source},target=${target}`,
  ]);
  const environment = Object.entries(request.environment).flatMap(([key, value]) => [
    '--env',
    `${key}=${value}`,
  ]);
  return [
    ...['run', '--interactive', '--name', name, '--security-opt', 'no-new-privileges'],
    // Also when we are killed: the end of standard input ends the container, and the engine removes it.
    ...(request.copyOut ? [] : ['--rm']),
    ...(request.network === undefined ? [] : ['--network', request.network]),
    ...mounts,
    ...environment,
    request.image,
    ...request.argv,
  ];
}

async function copyOut(
  engine: ContainerEngine,
  name: string,
  { from, to }: { from: string; to: string },
  command: EngineCommand,
): Promise<void> {
  const copied = await command([engine.name, 'cp', `${name}:${from}/.`, to]);
  if (copied.status === 0) return;
  throw new ContainerError('CONTAINER_FAILED', `the results cannot be copied to ${to}`, {
    output: copied.lastLines,
  });
}

/** A line of the program's standard error that is a progress event; other lines are shown as they are. */
function parseEvent(line: string): ProgressEvent | undefined {
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

function hintFor(status: number, { name }: ContainerEngine): string {
  if (status === 125) return `${name} could not start the container; its message is above`;
  if (status === 126 || status === 127)
    return 'is this a builder image? It is the target `builder` of the Dockerfile';
  if (status === 137) return 'the container was killed: by somebody, or for want of memory';
  return 'the last lines that it printed are above';
}

const aborted = () => new ContainerError('ABORTED', 'the build in the container was stopped');

// Runs the command line of a container engine: lines as they come, and how it ended.
import { spawn } from 'node:child_process';
import { Lines } from '../lines.ts';

/** How a command of the engine ended. */
export interface EngineResult {
  /** Exit status; 127 when the executable is missing, as a shell has it. */
  status: number;
  stdout: string;
  /** The last lines of standard error. */
  lastLines: string[];
}

export interface EngineCommandOptions {
  /** Written to standard input, which stays open until the command ends: its end tells the container to stop. */
  input?: string;
  /** Receives each line of standard error. */
  onLine?: (line: string) => void;
}

/** Runs a command line of the engine; the tests pass their own. */
export type EngineCommand = (
  argv: readonly string[],
  options?: EngineCommandOptions,
) => Promise<EngineResult>;

const KEPT_LINES = 25;

/** Runs command lines in `environment`, to their end and whatever their exit status is. */
export const engineCommand =
  (environment: Readonly<Record<string, string | undefined>>): EngineCommand =>
  (argv, options = {}) =>
    new Promise((done) => {
      const lines = new Lines((line) => options.onLine?.(line), KEPT_LINES);
      const stdout: Buffer[] = [];
      // Detached: Ctrl-C reaches us, and we tell the container, so that it can clean up.
      const child = spawn(argv[0] ?? '', argv.slice(1), {
        env: { ...environment },
        stdio: ['pipe', 'pipe', 'pipe'],
        detached: true,
      });
      child.stdin.on('error', () => {});
      if (options.input === undefined) child.stdin.end();
      else child.stdin.write(options.input);
      child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
      child.stderr.on('data', (chunk: Buffer) => lines.write('stderr', chunk));
      const end = (status: number) => {
        lines.end();
        done({ status, stdout: Buffer.concat(stdout).toString('utf8'), lastLines: lines.last() });
      };
      child.on('error', (error: NodeJS.ErrnoException) => {
        lines.write('stderr', Buffer.from(error.message));
        end(error.code === 'ENOENT' ? 127 : 126);
      });
      child.on('close', (status) => {
        if (child.pid !== undefined) end(status ?? 137);
      });
    });

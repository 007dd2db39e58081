// Runs the command line of a container engine: lines as they come, and how it ended.

import { spawn } from 'node:child_process';
import { pipeline } from 'node:stream/promises';
import type { Env } from '../base/env.ts';
import { Lines } from '../sandbox/lines.ts';
import { type ContainerStreams, type EngineResult, textOf } from './engine.ts';

/** Runs a command line of the engine; the tests pass their own. */
export type EngineCommand = (argv: readonly string[], streams?: ContainerStreams) => Promise<EngineResult>;

/** Lines of standard error that an error shows. */
export const KEPT_LINES = 25;

/** Runs command lines in `environment`, to their end and whatever their exit status is. */
export const engineCommand =
  (environment: Env): EngineCommand =>
  (argv, streams = {}) =>
    new Promise((done) => {
      const lines = new Lines((line) => streams.onLine?.(line), KEPT_LINES);
      // Detached: Ctrl-C reaches us, and we tell the container, so that it can clean up.
      const child = spawn(argv[0] ?? '', argv.slice(1), {
        env: { ...environment },
        stdio: ['pipe', 'pipe', 'pipe'],
        detached: true,
      });
      child.stdin.on('error', () => {});
      if (streams.stdin === undefined) child.stdin.end();
      else child.stdin.write(streams.stdin);
      // Who reads the stream tells by its own error what is wrong with it.
      const stdout = streams.stdout
        ? pipeline(child.stdout, streams.stdout, { end: false }).then(
            () => '',
            () => '',
          )
        : textOf(child.stdout).catch(() => '');
      child.stderr.on('data', (chunk: Buffer) => lines.write('stderr', chunk));
      const end = async (status: number) => {
        lines.end();
        done({ status, stdout: await stdout, lastLines: lines.last() });
      };
      child.on('error', (error: NodeJS.ErrnoException) => {
        lines.write('stderr', Buffer.from(error.message));
        void end(error.code === 'ENOENT' ? 127 : 126);
      });
      child.on('close', (status) => {
        if (child.pid !== undefined) void end(status ?? 137);
      });
    });

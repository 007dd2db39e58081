// The programs of the control plane while they run.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toolEnvironment } from '../../../sandbox/environment.ts';
import { BootError } from '../boot-error.ts';
import type { PrivateUser } from './private-user.ts';

const KEPT_LINES = 20;
const LONGEST_OUTPUT = 1 << 20;

/** How a command ended. */
export interface CommandResult {
  /** Absent when it took too long or was killed. */
  status?: number;
  stdout: string;
  /** That, and what was printed to standard error. */
  output: string;
}

/** Starts programs as one user in one directory, and ends them. */
export class Processes {
  readonly #user: PrivateUser;
  readonly #directory: string;
  readonly #running = new Map<string, ChildProcess>();
  readonly #ended: Promise<unknown>[] = [];
  readonly #kill = () => {
    for (const child of this.#running.values()) child.kill('SIGKILL');
  };

  /** @param directory of the user's own, where logs are kept */
  constructor(user: PrivateUser, directory: string) {
    this.#user = user;
    this.#directory = directory;
    process.once('exit', this.#kill);
  }

  /** Starts what stays. */
  async start(name: string, file: string, args: readonly string[]): Promise<void> {
    const log = await open(this.#logOf(name), 'a');
    const [command = '', ...prefix] = this.#user.prefix;
    const child = spawn(command, [...prefix, file, ...args], {
      ...this.#surroundings,
      stdio: ['ignore', log.fd, log.fd],
      // An interrupt of a terminal is for this process, which ends the others in order.
      detached: true,
    });
    this.#running.set(name, child);
    const ended = new Promise<void>((done) => {
      child.once('error', () => done());
      child.once('exit', () => done());
    });
    this.#ended.push(ended.then(() => this.#running.delete(name)));
    await log.close();
  }

  /** @throws BootError CONTROL_PLANE_FAILED with the last lines of a program that has ended by itself */
  async requireRunning(...names: string[]): Promise<void> {
    const gone = names.find((name) => !this.#running.has(name));
    if (gone === undefined) return;
    const log = await readFile(this.#logOf(gone), 'utf8').catch(() => '');
    throw new BootError('CONTROL_PLANE_FAILED', `${gone} has ended by itself`, {
      output: log.trim().split('\n').slice(-KEPT_LINES),
    });
  }

  /** Runs a command to its end. */
  run(
    file: string,
    args: readonly string[],
    options: { seconds: number; input?: string; signal?: AbortSignal | undefined },
  ): Promise<CommandResult> {
    const [command = '', ...prefix] = this.#user.prefix;
    return new Promise((done) => {
      const child = execFile(
        command,
        [...prefix, file, ...args],
        {
          ...this.#surroundings,
          timeout: options.seconds * 1000,
          killSignal: 'SIGKILL',
          maxBuffer: LONGEST_OUTPUT,
          ...(options.signal && { signal: options.signal }),
        },
        (error, stdout, stderr) => {
          const status = error ? error.code : 0;
          const said = [stdout, stderr, ...(error && !stderr ? [error.message] : [])];
          const output = said.filter(Boolean).join('\n');
          done({ ...(typeof status === 'number' && { status }), stdout, output });
        },
      );
      // A command that ended without reading it says why.
      child.stdin?.on('error', () => {}).end(options.input ?? '');
    });
  }

  /** Ends everything. */
  async stop(): Promise<void> {
    process.removeListener('exit', this.#kill);
    this.#kill();
    await Promise.all(this.#ended);
  }

  /** Nothing of who runs the test: no proxies, and no clusters of theirs. */
  get #surroundings() {
    const env = { ...toolEnvironment({ PATH: process.env.PATH, HOME: this.#directory }) };
    return { cwd: this.#directory, env };
  }

  #logOf(name: string): string {
    return join(this.#directory, `${name}.log`);
  }
}

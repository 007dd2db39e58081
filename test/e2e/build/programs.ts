// Programs of the tests as separate processes: bundled, since Node 20 runs no TypeScript.
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { buildSync } from 'esbuild';

/** Bundles a program of this directory into `directory`. */
export function bundleProgram(name: string, directory: string): string {
  const outfile = join(directory, `${name}.cjs`);
  buildSync({
    entryPoints: [join(__dirname, `${name}.ts`)],
    outfile,
    bundle: true,
    platform: 'node',
    // Where modules of image-builder/embedded find the source tree.
    define: { __dirname: JSON.stringify(join(__dirname, '../../../image-builder/embedded')) },
    logLevel: 'error',
  });
  return outfile;
}

/** A line that a program printed. */
export type Line = Record<string, unknown>;

/** A running program. */
export interface Running {
  process: ChildProcess;
  lines: Line[];
  /** Resolves with the exit status, or the name of the signal. */
  ended: Promise<number | string>;
  /** Resolves when a line with these fields is printed. */
  printed(fields: Line): Promise<void>;
}

/** Starts a program; each line that it prints is JSON. */
export function start(program: string, args: readonly string[], command: readonly string[] = []): Running {
  const [file = process.execPath, ...before] = [...command, process.execPath];
  const child = spawn(file, [...before, program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: Line[] = [];
  const listeners = new Set<() => void>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(JSON.parse(line));
    for (const listener of listeners) listener();
  });
  const matches = (line: Line, fields: Line) =>
    Object.entries(fields).every(([name, value]) => line[name] === value);
  return {
    process: child,
    lines,
    ended: new Promise((resolve) => child.once('close', (code, signal) => resolve(code ?? signal ?? -1))),
    printed: (fields) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (lines.some((line) => matches(line, fields))) resolve();
        };
        listeners.add(look);
        child.once('close', () => reject(new Error(`ended without ${JSON.stringify(fields)}`)));
        look();
      }),
  };
}

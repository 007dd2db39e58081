// Stands in for image-builder/bundle/read/read-bundle.ts where tests run on Bun (jest.config.js): each bundle is read by a process of
// Bun, in which the native executable runs.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { buildSync } from 'esbuild';
import type { BundleReading } from '../../../../image-builder/bundle/read/read-bundle.ts';
import type { ReadBundleOptions } from '../../../../image-builder/bundle/read/read-options.ts';
import { RegistryError, type RegistryErrorCode } from '../../../../image-builder/oci/http/registry-error.ts';

export type { BundleReading, ReadBundleOptions };

/** Asks for a bundle; without options, to stop. */
export interface Question {
  id: number;
  reference: string;
  options?: Omit<ReadBundleOptions, 'signal' | 'report'>;
}

interface Failure {
  name: string;
  message: string;
  code: RegistryErrorCode;
  status?: number;
  hint?: string;
  known: boolean;
}

interface Waiting {
  report: ReadBundleOptions['report'];
  resolve(reading: BundleReading): void;
  reject(error: Error): void;
}

const bun = join(__dirname, '../../../../.cache/bun/bun');
const waiting = new Map<number, Waiting>();
let directory: string | undefined;
let reader: ChildProcess | undefined;
let count = 0;

function startReader(): ChildProcess {
  directory = mkdtempSync(join(tmpdir(), 'bun-reader-'));
  const program = join(directory, 'reading-program.cjs');
  const entryPoints = [join(__dirname, 'reading-program.ts')];
  buildSync({
    entryPoints,
    outfile: program,
    bundle: true,
    platform: 'node',
    conditions: ['bun'],
    logLevel: 'error',
  });
  const child = spawn(bun, [program], { stdio: ['pipe', 'pipe', 'inherit'] });
  createInterface({ input: child.stdout }).on('line', (line) => {
    const { id, event, reading, error } = JSON.parse(line);
    const asker = waiting.get(id);
    if (event) return asker?.report?.(event);
    waiting.delete(id);
    if (reading) asker?.resolve(reading);
    else asker?.reject(errorOf(error));
  });
  child.once('close', (status) => {
    for (const { reject } of waiting.values()) reject(new Error(`the reader has ended: ${status}`));
  });
  return child;
}

function errorOf({ name, message, code, known, ...details }: Failure): Error {
  if (known) return new RegistryError(code, message, details);
  return Object.assign(new Error(message), { name, code });
}

export function readBundle(reference: string, options: ReadBundleOptions = {}): Promise<BundleReading> {
  reader ??= startReader();
  const id = count++;
  const { signal, report, ...rest } = options;
  const ask = (question: Question) => reader?.stdin?.write(`${JSON.stringify(question)}\n`);
  const answer = new Promise<BundleReading>((resolve, reject) => {
    waiting.set(id, { report, resolve, reject });
  });
  // The environment is that of the process that asks, also where it says nothing of it.
  ask({ id, reference, options: { environment: process.env, ...rest } });
  signal?.addEventListener('abort', () => ask({ id, reference }), { once: true });
  return answer;
}

afterAll(async () => {
  reader?.kill();
  if (directory) rmSync(directory, { recursive: true, force: true });
});

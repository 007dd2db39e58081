// The digests of a file that consumers verify downloads with.
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { throwIfCancelled } from '../base/diagnostics/cancelled.ts';
import type { Checksums } from './model.ts';

const ALGORITHMS = ['md5', 'sha256', 'sha512'] as const;

/** Checksums of a file and its size in bytes. */
export type FileChecksums = Checksums & { size: number };

/**
 * All digests of `file`, each computed by a thread of its own: one after the other they take twice as long.
 * `onBytes` is told how many bytes are done.
 */
export async function checksumFile(
  file: string,
  options: { signal?: AbortSignal; onBytes?: (done: number) => void } = {},
): Promise<FileChecksums> {
  const { size } = await stat(file);
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
  try {
    const [md5, sha256, sha512] = await Promise.all(
      ALGORITHMS.map((algorithm) =>
        digestInThread(file, algorithm, signal, algorithm === 'md5' ? options.onBytes : undefined),
      ),
    );
    return { md5, sha256, sha512, size } as FileChecksums;
  } finally {
    stop.abort();
  }
}

async function digestInThread(
  file: string,
  algorithm: (typeof ALGORITHMS)[number],
  signal: AbortSignal,
  onBytes?: (done: number) => void,
): Promise<string> {
  throwIfCancelled(signal);
  const worker = new Worker(DIGEST, { eval: true, workerData: { file, algorithm } });
  const end = () => void worker.terminate();
  signal.addEventListener('abort', end, { once: true });
  let digest: string | undefined;
  worker.on('message', (message: { done: number; digest?: string }) => {
    onBytes?.(message.done);
    digest = message.digest;
  });
  try {
    // Rejects with the error of the thread.
    await once(worker, 'exit');
    throwIfCancelled(signal);
    if (digest === undefined) throw new Error(`computing the ${algorithm} of ${file} was interrupted`);
    return digest;
  } finally {
    signal.removeEventListener('abort', end);
  }
}

// As text: the executables are single files, and a thread starts from a file of its own or from text.
const DIGEST = `
const { createHash } = require('node:crypto');
const { openSync, readSync } = require('node:fs');
const { parentPort, workerData } = require('node:worker_threads');
const hash = createHash(workerData.algorithm);
const file = openSync(workerData.file);
const block = Buffer.allocUnsafe(4 * 1024 * 1024);
let done = 0;
for (let count; (count = readSync(file, block, 0, block.length, null)) > 0; ) {
  hash.update(block.subarray(0, count));
  done += count;
  parentPort.postMessage({ done });
}
parentPort.postMessage({ done, digest: hash.digest('hex') });`;

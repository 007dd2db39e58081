// fzstd in a thread of its own, which can be ended, and for which nothing else waits.
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { corrupt } from '../../oci/http/registry-error.ts';

/** Milliseconds for one call; an honest one takes 25 at most, and a busy machine is slower. */
const PATIENCE = 2_000;

const PROGRAM = `
const { parentPort, workerData } = require('node:worker_threads');
const library = { exports: {} };
new Function('module', 'exports', workerData)(library, library.exports);
let output = [];
// What fzstd gives may be a view of a buffer that it still needs.
const decoder = new library.exports.Decompress((part) => output.push(part.slice()));
parentPort.on('message', (input) => {
  output = [];
  try {
    decoder.push(input);
    parentPort.postMessage({ output }, output.map((part) => part.buffer));
  } catch (error) {
    parentPort.postMessage({ problem: error.message });
  }
});`;

type Answer = { output: Uint8Array[] } | { problem: string };

/** Decompresses one frame; `close` it. */
export class FzstdThread {
  readonly #what: string;
  readonly #worker: Worker;

  private constructor(what: string, worker: Worker) {
    this.#what = what;
    this.#worker = worker;
  }

  static async open(what: string): Promise<FzstdThread> {
    const { fzstdSource } = await import('../fzstd-source.ts');
    return new FzstdThread(what, new Worker(PROGRAM, { eval: true, workerData: fzstdSource }));
  }

  /**
   * @returns what has come out
   * @throws RegistryError CORRUPT for data that are damaged, or take too long
   */
  async push(input: Uint8Array): Promise<Uint8Array[]> {
    this.#worker.postMessage(input);
    try {
      const signal = AbortSignal.timeout(PATIENCE);
      const [answer] = (await once(this.#worker, 'message', { signal })) as [Answer];
      if ('problem' in answer) throw new Error(answer.problem);
      return answer.output;
    } catch (error) {
      const isLate = (error as Error).name === 'AbortError';
      throw corrupt(this.#what, isLate ? new Error('it takes too long') : error);
    }
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}

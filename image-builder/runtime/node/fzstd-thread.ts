// fzstd in a thread of its own. It believes what a frame says: a few bytes keep it busy for minutes (sequences that take no
// bits) or for ever (weights of which one symbol takes no bits). Here it can be ended, and signals come through meanwhile.
import { Worker } from 'node:worker_threads';

/** Milliseconds for one piece of input; an honest block takes five, and a busy machine is slower. */
const PATIENCE = 5_000;

const PROGRAM = `
const { parentPort, workerData } = require('node:worker_threads');
const library = { exports: {} };
new Function('module', 'exports', workerData)(library, library.exports);
let decompressor;
parentPort.on('message', ({ first, chunk, final }) => {
  const output = [];
  try {
    if (first) decompressor = new library.exports.Decompress();
    // What fzstd gives may be a view of a buffer that it still needs.
    decompressor.ondata = (part) => output.push(part.slice());
    decompressor.push(chunk, final);
    parentPort.postMessage({ output }, output.map((part) => part.buffer));
  } catch (error) {
    parentPort.postMessage({ output: [], problem: error.message });
  }
});`;

interface Answer {
  output: Uint8Array[];
  problem?: string;
}

/** An idle thread, kept because starting one takes as long as reading a small layer. */
let idle: Worker | undefined;

/** Decompresses one stream. */
export class FzstdThread {
  #worker: Worker;
  #isFirst = true;
  #isBroken = false;

  private constructor(worker: Worker) {
    this.#worker = worker;
  }

  static async open(): Promise<FzstdThread> {
    let worker = idle;
    idle = undefined;
    if (!worker) {
      const { fzstdSource } = await import('../fzstd-source.ts');
      worker = new Worker(PROGRAM, { eval: true, workerData: fzstdSource });
    }
    // A reader that goes away without a word is no reason for the process to stay.
    worker.unref();
    return new FzstdThread(worker);
  }

  /**
   * @param final whether nothing follows
   * @returns what has come out
   * @throws Error for data that are damaged, or take too long
   */
  async push(chunk: Uint8Array, final: boolean): Promise<Uint8Array[]> {
    const own = Uint8Array.from(chunk);
    const worker = this.#worker;
    worker.ref();
    try {
      worker.postMessage({ first: this.#isFirst, chunk: own, final }, [own.buffer]);
      const { output, problem } = await answerOf(worker);
      if (problem !== undefined) throw new Error(problem);
      this.#isFirst = false;
      return output;
    } catch (error) {
      this.#isBroken = true;
      throw error;
    } finally {
      worker.unref();
    }
  }

  async close(): Promise<void> {
    if (this.#isBroken || idle) await this.#worker.terminate();
    else idle = this.#worker;
  }
}

function answerOf(worker: Worker): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void) => {
      clearTimeout(timer);
      worker.off('message', onAnswer).off('error', onError).off('exit', onExit);
      settle();
    };
    const onAnswer = (answer: Answer) => finish(() => resolve(answer));
    const onError = (error: Error) => finish(() => reject(error));
    const onExit = () => finish(() => reject(new Error('the decoder has ended')));
    const timer = setTimeout(() => onError(new Error('it takes too long')), PATIENCE);
    worker.on('message', onAnswer).on('error', onError).on('exit', onExit);
  });
}

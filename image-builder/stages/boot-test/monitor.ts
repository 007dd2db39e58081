// QEMU's monitor (https://www.qemu.org/docs/master/interop/qemu-qmp-ref.html): what the console does not tell.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import { decodeTextScreen, TEXT_MEMORY } from './text-screen.ts';

/** Longest wait for an answer: a machine that emulates while others compile is slow to say anything. */
const ANSWER_MILLISECONDS = 20_000;

interface Answer {
  return?: unknown;
  error?: { desc: string };
}

/** A machine's monitor, over a connected socket. Whatever cannot be had is undefined: nothing depends on it. */
export class Monitor {
  readonly #socket: Duplex;
  readonly #scratch: string;
  readonly #waiting: ((answer: Answer | undefined) => void)[] = [];
  readonly #ready: Promise<unknown>;

  /** @param scratch directory that QEMU and this process share */
  constructor(socket: Duplex, scratch: string) {
    this.#socket = socket;
    this.#scratch = scratch;
    // The machine ends when it likes, and whoever still waits gets nothing.
    socket.on('error', () => {});
    socket.on('close', () => this.#giveUp());
    createInterface({ input: socket })
      .on('line', (line) => this.#receive(line))
      .on('error', () => {});
    this.#ready = this.#send('qmp_capabilities', {});
  }

  /** Operations on disks so far; undefined when the machine does not answer. */
  async diskOperations(): Promise<number | undefined> {
    const devices = await this.#execute<{ stats: Record<string, number> }[]>('query-blockstats');
    return devices?.reduce(
      (sum, { stats }) => sum + (stats.rd_operations ?? 0) + (stats.wr_operations ?? 0),
      0,
    );
  }

  /** Lines of a screen in VGA's text mode, as BIOS machines have one; empty when it is in another mode. */
  async textScreen(): Promise<string[]> {
    const filename = join(this.#scratch, 'text-screen');
    const { address: val, bytes: size } = TEXT_MEMORY;
    const saved = await this.#execute('pmemsave', { val, size, filename });
    if (saved === undefined) return [];
    return decodeTextScreen(await readFile(filename).catch(() => Buffer.alloc(0)));
  }

  /** Writes the screen as PNG; whether there was one. */
  async screenshot(file: string): Promise<boolean> {
    return (await this.#execute('screendump', { filename: file, format: 'png' })) !== undefined;
  }

  /** Lets the machine start again when it resets, instead of ending; whether it will. QEMU 6 and newer. */
  async allowReboots(): Promise<boolean> {
    return (await this.#execute('set-action', { reboot: 'reset' })) !== undefined;
  }

  async #execute<Result>(command: string, values: object = {}): Promise<Result | undefined> {
    await this.#ready;
    return (await this.#send(command, values))?.return as Result | undefined;
  }

  #send(command: string, values: object): Promise<Answer | undefined> {
    return new Promise((resolve) => {
      if (this.#socket.destroyed) return resolve(undefined);
      // Answers come in the order of commands, also late ones.
      // The timer keeps the process waiting: on a machine that hangs the socket alone does not, everywhere.
      const timer = setTimeout(() => resolve(undefined), ANSWER_MILLISECONDS);
      this.#waiting.push((answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
      this.#socket.write(`${JSON.stringify({ execute: command, arguments: values })}\n`);
    });
  }

  #receive(line: string): void {
    let message: Answer;
    try {
      message = JSON.parse(line);
    } catch {
      // The last words of a machine that ended meanwhile.
      return;
    }
    // Others are greetings and events.
    if ('return' in message || 'error' in message) this.#waiting.shift()?.(message);
  }

  #giveUp(): void {
    for (const resolve of this.#waiting.splice(0)) resolve(undefined);
  }
}

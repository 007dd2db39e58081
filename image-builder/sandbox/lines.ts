// Splits what a tool prints into lines, hands each on as it comes, and remembers the last ones for an error.
import { StringDecoder } from 'node:string_decoder';

type Source = 'stdout' | 'stderr';

/** The output of one tool, both streams as they come. */
export class Lines {
  readonly #onLine: (line: string) => void;
  readonly #keep: number;
  readonly #last: string[] = [];
  readonly #partial = new Map<Source, { decoder: StringDecoder; text: string }>();

  /** @param keep how many of the last lines to remember. */
  constructor(onLine: (line: string) => void, keep: number) {
    this.#onLine = onLine;
    this.#keep = keep;
  }

  write(source: Source, chunk: Buffer): void {
    const state = this.#partial.get(source) ?? { decoder: new StringDecoder('utf8'), text: '' };
    this.#partial.set(source, state);
    // A carriage return rewrites a progress bar: only its last state counts.
    const parts = (state.text + state.decoder.write(chunk)).split('\n');
    state.text = parts.pop() ?? '';
    for (const part of parts) this.#emit(part);
  }

  /** The output has ended: what has no newline is a line too. */
  end(): void {
    for (const { text } of this.#partial.values()) if (text !== '') this.#emit(text);
    this.#partial.clear();
  }

  /** The last lines, oldest first, without blank ones. */
  last(): string[] {
    return [...this.#last];
  }

  #emit(raw: string): void {
    const line = raw.trimEnd().split('\r').at(-1) ?? '';
    this.#onLine(line);
    if (line.trim() === '') return;
    this.#last.push(line);
    if (this.#last.length > this.#keep) this.#last.shift();
  }
}

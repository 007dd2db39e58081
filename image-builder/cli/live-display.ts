// Progress on a terminal: lines for what is over, and one live line for what is going on.
import type { ProgressEvent } from '../base/diagnostics/progress.ts';
import {
  describeEvent,
  formatBytes,
  formatSeconds,
  type PlainOptions,
  withoutCredentials,
} from '../base/diagnostics/render.ts';

/** The part of a terminal stream that is used. */
export interface Terminal {
  columns?: number;
  write(text: string): unknown;
}

/** A stage that runs. */
interface RunningStage {
  /** Milliseconds, as the clock gives them. */
  startedAt: number;
  detail: string;
  bytes: string;
}

const CLEAR_LINE = '\r\u001b[2K';
const REFRESH_MILLISECONDS = 200;

/** Shows progress events on a terminal until it is closed. */
export class LiveDisplay {
  readonly #terminal: Terminal;
  readonly #options: PlainOptions;
  readonly #now: () => number;
  readonly #timer: NodeJS.Timeout;
  /** In the order of their last event: the last one is shown. */
  readonly #running = new Map<string, RunningStage>();

  constructor(terminal: Terminal, options: PlainOptions = {}, now: () => number = Date.now) {
    this.#terminal = terminal;
    this.#options = options;
    this.#now = now;
    this.#timer = setInterval(() => this.#draw(), REFRESH_MILLISECONDS);
    // Showing progress must not keep the process alive.
    this.#timer.unref();
  }

  /** Shows an event. */
  show(given: ProgressEvent): void {
    const event = withoutCredentials(given);
    const stage = this.#running.get(event.stage) ?? { startedAt: this.#now(), detail: '', bytes: '' };
    this.#running.delete(event.stage);
    const isOver = event.type === 'stage' && 'seconds' in event;
    if (!isOver) this.#running.set(event.stage, { ...stage, ...detailOf(event) });
    const isPermanent = isOver || (event.type === 'output' && this.#options.verbose);
    if (isPermanent) this.#terminal.write(`${CLEAR_LINE}${describeEvent(event, this.#options)}\n`);
    this.#draw();
  }

  /** Removes the live line and stops. */
  close(): void {
    clearInterval(this.#timer);
    this.#running.clear();
    this.#terminal.write(CLEAR_LINE);
  }

  #draw(): void {
    const [name, stage] = [...this.#running].at(-1) ?? [];
    if (name === undefined || stage === undefined) {
      this.#terminal.write(CLEAR_LINE);
      return;
    }
    const elapsed = formatSeconds((this.#now() - stage.startedAt) / 1000);
    const others = this.#running.size > 1 ? ` (+${this.#running.size - 1} more)` : '';
    const parts = [`${name}${others}`, elapsed, stage.bytes, stage.detail].filter((part) => part !== '');
    // One column is left free: a full line would wrap, and could no longer be cleared.
    this.#terminal.write(CLEAR_LINE + parts.join('  ').slice(0, (this.#terminal.columns ?? 80) - 1));
  }
}

function detailOf(event: ProgressEvent): Partial<RunningStage> {
  switch (event.type) {
    case 'stage':
      return { detail: event.status === 'waiting' ? 'waiting' : '' };
    case 'step':
      return { detail: oneLine(event.message), bytes: '' };
    case 'output':
      return { detail: oneLine(event.line) };
    case 'bytes': {
      const total = event.total === undefined ? '' : ` of ${formatBytes(event.total)}`;
      return { bytes: `${formatBytes(event.done)}${total}` };
    }
  }
}

/** Without control characters, by which the output of a tool could move the cursor. */
function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones that are meant
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ').trim();
}

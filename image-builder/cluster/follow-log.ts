// Follows what a container prints, through connections that break, without a line twice: the server gives each line the time
// at which it was written, and can start at a second only.
import { setTimeout as delay } from 'node:timers/promises';
import type { ApiClient } from './api-client.ts';
import { ApiError } from './api-error.ts';
import { ClusterError } from './cluster-error.ts';

/** Which container. */
export interface LoggedContainer {
  namespace: string;
  pod: string;
  container: string;
}

const PAUSE = 1000;

/**
 * Resolves when the container has ended and all of its lines were given, or when its log is gone.
 * @param hasEnded whether the container runs no more
 * @throws ApiError, ClusterError when the server refuses; CancelledError
 */
export async function followLog(
  api: ApiClient,
  { namespace, pod, container }: LoggedContainer,
  onLine: (line: string) => void,
  hasEnded: () => boolean,
  signal: AbortSignal,
): Promise<void> {
  const path = `/api/v1/namespaces/${namespace}/pods/${pod}/log`;
  const seen = new LinesSeen();
  for (;;) {
    const ended = hasEnded();
    const since = seen.since();
    const query = { container, follow: 'true', timestamps: 'true', ...(since && { sinceTime: since }) };
    seen.begin();
    try {
      for await (const line of api.lines({ path, query }, signal)) {
        const text = seen.take(line);
        if (text !== undefined) onLine(text);
      }
      if (ended) return;
    } catch (error) {
      if (signal.aborted || error instanceof ClusterError) throw error;
      if (error instanceof ApiError) return;
    }
    // The end of a stream and the end of a container become known in any order.
    await delay(PAUSE, undefined, { signal });
  }
}

/** Tells lines that are new from those that a connection before has given. */
export class LinesSeen {
  /** Time of the last line, as the server writes it, and how many lines in a row have it. */
  #last = '';
  #withLast = 0;
  /** Whether the connection still repeats what was given, and how many lines of the last time it has to repeat. */
  #isReplaying = false;
  #toSkip = 0;

  /** Where the next connection is to start: RFC 3339. */
  since(): string | undefined {
    return this.#last === '' ? undefined : this.#last;
  }

  /** A connection begins. */
  begin(): void {
    this.#isReplaying = this.#last !== '';
    this.#toSkip = this.#withLast;
  }

  /** @returns the line without its time, or undefined when it was given before */
  take(line: string): string | undefined {
    const [, time, text = ''] = /^(\d{4}-\d\d-\d\dT\S+)(?: (.*))?$/s.exec(line) ?? [];
    if (time === undefined) return line;
    if (this.#isReplaying) {
      const order = compareTimes(time, this.#last);
      if (order < 0) return undefined;
      if (order === 0 && this.#toSkip > 0) {
        this.#toSkip -= 1;
        return undefined;
      }
      // From here on everything is new, whatever the clock of the node does.
      this.#isReplaying = false;
    }
    this.#withLast = time === this.#last ? this.#withLast + 1 : 1;
    this.#last = time;
    return text;
  }
}

/** Compares RFC 3339 times in UTC with up to nine decimals, whose zeros at the end may be left out. */
function compareTimes(one: string, other: string): number {
  const [a, b] = [padded(one), padded(other)];
  return a < b ? -1 : a > b ? 1 : 0;
}

function padded(time: string): string {
  const [, seconds = '', fraction = ''] = /^([^.Z+]*)(?:\.(\d+))?/.exec(time) ?? [];
  return `${seconds}.${fraction.padEnd(9, '0')}`;
}

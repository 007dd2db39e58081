// Renders progress events as plain lines: for logs, pipes, and standard error of the function.
import type { Finding } from './error.ts';
import { printableLines } from './printable.ts';
import type { ProgressEvent, Reporter } from './progress.ts';
import { redactCredentials } from './redact.ts';

/** How much is reported. */
export interface PlainOptions {
  /** Also the lines that tools print. */
  verbose?: boolean;
}

/** A reporter that writes one line (without its end) for each event that is worth a line. */
export function plainReporter(writeLine: (line: string) => void, options: PlainOptions = {}): Reporter {
  return (event) => {
    const line = describeEvent(event, options);
    if (line !== undefined) writeLine(line);
  };
}

/** A reporter that writes every event as a line of JSON, with the time in RFC 3339. */
export function jsonReporter(writeLine: (line: string) => void): Reporter {
  return (event) => writeLine(timedJson(withoutCredentials(event)));
}

/** A finding as a line of JSON beside those of {@link jsonReporter}: `{"time":...,"type":"finding","severity":"error",...}`. */
export function formatFindingAsJson({ tags: { code, ...tags } = {}, ...finding }: Finding): string {
  return timedJson({ type: 'finding', ...finding, ...(code && { code }), tags });
}

const timedJson = (event: object) => JSON.stringify({ time: new Date().toISOString(), ...event });

/** The event as it may be shown; what tools print was made so where it was read. */
export function withoutCredentials(event: ProgressEvent): ProgressEvent {
  return event.type === 'step' ? { ...event, message: redactCredentials(event.message) } : event;
}

/** One line for an event; undefined for what only a live display can show. */
export function describeEvent(
  event: ProgressEvent,
  { verbose = false }: PlainOptions = {},
): string | undefined {
  switch (event.type) {
    case 'stage':
      return `${event.stage}: ${event.status}${'seconds' in event ? ` (${formatSeconds(event.seconds)})` : ''}`;
    case 'step':
      return printableLines(`${event.stage}: ${redactCredentials(event.message)}`);
    case 'output':
      return verbose ? printableLines(`${event.stage} | ${event.line}`) : undefined;
    case 'bytes':
      return undefined;
  }
}

/** Wall time for people: `0.4s`, `12s`, `3m05s`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)}s`;
  if (seconds < 60) return `${Math.round(seconds)}s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}m${String(whole % 60).padStart(2, '0')}s`;
}

/** A size for people, in binary units: `512 B`, `1.4 MiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), units.length - 1);
  const value = bytes / 1024 ** power;
  return `${power === 0 ? value : value.toFixed(1)} ${units[power]}`;
}

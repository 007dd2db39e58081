// Changes in words that all formats share. Pure.
import { printable } from '../base/diagnostics/printable.ts';
import { formatBytes } from '../base/diagnostics/render.ts';
import type { ImageChange, SizeChange } from './comparison.ts';

/** Characters of a value that are shown. */
const SHOWN = 120;

/** The text in one line, with escapes for what could rewrite a terminal. */
export function oneLine(text: string): string {
  return printable(text.replaceAll('\n', '⏎'));
}

/** A value in one line. */
export function describeValue(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const line = oneLine(text);
  return line.length > SHOWN ? `${line.slice(0, SHOWN)}…` : line;
}

/** `512.0 MiB → 513.0 MiB (+1.0 MiB)`. */
export function describeSizes({ before, after }: SizeChange): string {
  if (before === undefined) return after === undefined ? 'unknown' : formatBytes(after);
  if (after === undefined) return formatBytes(before);
  const sign = after < before ? '−' : '+';
  return `${formatBytes(before)} → ${formatBytes(after)} (${sign}${formatBytes(Math.abs(after - before))})`;
}

/** What has changed in an image, one part for each kind of change. */
export function describeImage({ change, file, size, virtualSize }: ImageChange): string[] {
  return [
    ...(change === 'changed' ? [] : [change]),
    ...(file ? [`file ${file.before ?? 'none'} → ${file.after ?? 'none'}`] : []),
    ...(size ? [describeSizes(size)] : change === 'changed' ? ['different content, same size'] : []),
    ...(virtualSize ? [`virtual ${describeSizes(virtualSize)}`] : []),
  ];
}

/** A value of a partition; sizes and offsets are bytes. */
export function describePartitionValue(value: unknown): string {
  if (typeof value === 'number') return formatBytes(value);
  if (typeof value !== 'object' || value === null) return describeValue(value);
  const { start, size, filesystem, mount } = value as Record<string, unknown>;
  const parts = [filesystem, mount, typeof size === 'number' && formatBytes(size)];
  const at = typeof start === 'number' ? [`at ${formatBytes(start)}`] : [];
  return [...parts, ...at].filter(Boolean).join(' ');
}

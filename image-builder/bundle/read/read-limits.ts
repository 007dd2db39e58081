// What one read of metadata may cost at most, in time and requests: a registry that answers a byte at a time, or has
// another range for every byte, must not keep a render forever. Copies of disks have no such end.

import type { Env } from '../../base/env.ts';
import { RegistryError } from '../../oci/http/registry-error.ts';
import type { ReadBundleOptions } from './read-options.ts';

const TIMEOUT_SECONDS = 5 * 60;
const REQUEST_LIMIT = 2000;
const VARIABLE = 'IMAGE_BUILDER_READ_TIMEOUT';

/**
 * Reads within the limits of the options, of IMAGE_BUILDER_READ_TIMEOUT (seconds), or the default ones.
 * @throws RegistryError TIMEOUT, TOO_LARGE, CONFIGURATION, and whatever `read` throws
 */
export async function withinLimits<Result>(
  options: ReadBundleOptions,
  read: (limited: ReadBundleOptions) => Promise<Result>,
): Promise<Result> {
  const seconds = options.timeout ?? timeoutOf(options.environment ?? process.env) ?? TIMEOUT_SECONDS;
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(tooSlow(seconds)), seconds * 1000);
  const signal = options.signal ? AbortSignal.any([options.signal, deadline.signal]) : deadline.signal;
  try {
    return await read({ ...options, signal, limits: { requests: REQUEST_LIMIT, ...options.limits } });
  } finally {
    clearTimeout(timer);
  }
}

/** @throws RegistryError CONFIGURATION when it is no number of seconds */
export function parseTimeout(text: string, name: string): number {
  const seconds = Number(text);
  // Longer delays than 2^31 ms are none to timers.
  if (/^\d+(?:\.\d+)?$/.test(text) && seconds > 0 && seconds <= 1_000_000) return seconds;
  throw new RegistryError('CONFIGURATION', `${name} is "${text}", expected seconds, for example 600`);
}

function timeoutOf(environment: Env): number | undefined {
  const text = environment[VARIABLE];
  return text ? parseTimeout(text, VARIABLE) : undefined;
}

function tooSlow(seconds: number): RegistryError {
  return new RegistryError('TIMEOUT', `reading took longer than ${seconds} s and was stopped`, {
    hint: `If the registry is slow, or whole layers have to be read, allow more time with --timeout or ${VARIABLE}, in seconds.`,
  });
}

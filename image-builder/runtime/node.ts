// What only the runtime can do, as Node does it. In the native executable bun.ts takes the place of this module:
// `#runtime` of package.json stands for one of them, chosen when a program is bundled.

import { createHash } from 'node:crypto';
import type { Env } from '../base/env.ts';
import type { TlsSettings } from '../oci/http/connection-settings.ts';
import type { Patience, Transport } from '../oci/http/transport.ts';
import type { Hash, HashAlgorithm } from './hash.ts';

export type { Hash, HashAlgorithm } from './hash.ts';

/** A new hash. */
export const newHash = (algorithm: HashAlgorithm): Hash => createHash(algorithm);

/**
 * What sends requests.
 * @param tlsFor TLS settings of a `host[:port]`
 */
export async function openTransport(
  env: Env,
  tlsFor: (host: string) => Promise<TlsSettings>,
  patience: Patience,
): Promise<Transport> {
  const { httpTransport } = await import('./node/http-transport.ts');
  return httpTransport(env, tlsFor, patience);
}

/**
 * Decompresses a stream.
 * @param what names the content in errors
 * @throws RegistryError CORRUPT, TOO_LARGE for a window of zstd that is, and what the stream throws
 */
export async function decoded(
  stream: AsyncIterable<Uint8Array>,
  format: 'gzip' | 'zstd',
  what: string,
): Promise<AsyncGenerator<Uint8Array>> {
  return format === 'gzip'
    ? (await import('./node/decoder.ts')).gunzip(stream, what)
    : (await import('./node/zstd.ts')).unzstd(stream, what);
}

/**
 * Decompresses something small at once, which takes less time here than to set up a stream.
 * @param limit most bytes that may come out
 * @returns undefined for what grows too much or is damaged: a stream says why, and gives what there is before that
 */
export async function gunzipAtOnce(content: Buffer, limit: number): Promise<Buffer | undefined> {
  return (await import('./node/decoder.ts')).gunzipAtOnce(content, limit);
}

/** Makes V8 collect the young generation: buffers of streams lie outside its heap and give it little reason to. */
export async function youngCollector(): Promise<() => void> {
  const [{ setFlagsFromString }, { runInNewContext }] = await Promise.all([
    import('node:v8'),
    import('node:vm'),
  ]);
  setFlagsFromString('--expose-gc');
  const collect: (options: { type: 'minor' }) => void = runInNewContext('gc');
  setFlagsFromString('--no-expose-gc');
  return () => collect({ type: 'minor' });
}

/**
 * Has V8 collect before its heap grows: for a run that takes in much more than it keeps. The young generation stays at a megabyte
 * instead of 16 or 32, and the old one grows by a fifth between two collections.
 */
export async function keepHeapSmall(): Promise<void> {
  const { setFlagsFromString } = await import('node:v8');
  const young = ['--semi-space-growth-factor=1', '--max-semi-space-size=4'];
  for (const flag of [...young, '--heap-growing-percent=20']) setFlagsFromString(flag);
}

/** The file that was started. */
export function ownFile(): string {
  return process.argv[1] ?? '';
}

/** The command, without arguments, that starts this program again. */
export function ownCommand(): string[] {
  return [process.execPath, ownFile()];
}

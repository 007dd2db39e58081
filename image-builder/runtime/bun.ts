// What only the runtime can do, as Bun does it, in which the native executable runs: the exports of node.ts, which has
// their documentation.

import type { Env } from '../base/env.ts';
import type { TlsSettings } from '../oci/http/connection-settings.ts';
import type { Patience, Transport } from '../oci/http/transport.ts';
import type { Hash, HashAlgorithm } from './hash.ts';

export type { Hash, HashAlgorithm } from './hash.ts';

declare const Bun: { CryptoHasher: new (algorithm: HashAlgorithm) => Hash };

/** Bun's own: loading its node:crypto takes longer than reading a profile. */
export const newHash = (algorithm: HashAlgorithm): Hash => new Bun.CryptoHasher(algorithm);

/** Bun's fetch starts in a third of the time that node:http takes, which is left for bodies that are streams. */
export async function openTransport(
  env: Env,
  tlsFor: (host: string) => Promise<TlsSettings>,
  patience: Patience,
): Promise<Transport> {
  const { FetchTransport } = await import('./bun/fetch-transport.ts');
  return new FetchTransport(env, tlsFor, patience, async () =>
    (await import('./node/http-transport.ts')).httpTransport(env, tlsFor, patience),
  );
}

/** Decompresses a stream by DecompressionStream; see `node.ts`. */
export async function decoded(
  stream: AsyncIterable<Uint8Array>,
  format: 'gzip' | 'zstd',
  what: string,
): Promise<AsyncGenerator<Uint8Array>> {
  return (await import('./bun/decoder.ts')).decode(stream, format, what);
}

/** Never does: a stream takes no time to set up here, and Bun.gunzipSync silently drops all members but the first. */
export async function gunzipAtOnce(_content: Buffer, _limit: number): Promise<Buffer | undefined> {
  return undefined;
}

/** Does nothing: JavaScriptCore knows what its buffers take. */
export async function youngCollector(): Promise<() => void> {
  return () => {};
}

/** Does nothing: there is no V8 here. */
export async function keepHeapSmall(): Promise<void> {}

/** The executable as a whole: no other process could read the code inside it. */
export function ownFile(): string {
  return process.execPath;
}

/** The command, without arguments, that starts this program again. */
export function ownCommand(): string[] {
  return [process.execPath];
}

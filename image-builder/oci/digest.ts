// Content digests (OCI image-spec, descriptor.md "Digests"): parsing, computing, checking while streaming.

import { type Hash, type HashAlgorithm, newHash } from '#runtime';
import { RegistryError } from './http/registry-error.ts';

/** `sha256:<64 hex>` or `sha512:<128 hex>`. */
export type Digest = `${'sha256' | 'sha512'}:${string}`;

const DIGEST = /^(?:sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$/;

/** Whether the text is a digest in one of the registered algorithms, in lower-case hex of the right length. */
export function isDigest(text: string): text is Digest {
  return DIGEST.test(text);
}

/** The digest's parts: `sha256` and the hex. */
export function splitDigest(digest: Digest): { algorithm: 'sha256' | 'sha512'; hex: string } {
  const colon = digest.indexOf(':');
  return { algorithm: digest.slice(0, colon) as 'sha256' | 'sha512', hex: digest.slice(colon + 1) };
}

/** A hash that yields digests of the same algorithm as `like`. */
export function hashFor(like: Digest): Hash {
  return newHash(splitDigest(like).algorithm);
}

/** The digest of some bytes. */
export function digestOf(content: Uint8Array, algorithm: HashAlgorithm = 'sha256'): Digest {
  return `${algorithm}:${hexOf(content, algorithm)}`;
}

/** The hash of bytes, or of a text in UTF-8, in hex. */
export function hexOf(content: Uint8Array | string, algorithm: HashAlgorithm = 'sha256'): string {
  const hash = newHash(algorithm);
  hash.update(content);
  return hash.digest('hex');
}

/**
 * Checks bytes against what a descriptor promises.
 * @throws RegistryError DIGEST_MISMATCH
 */
export function checkContent(
  content: Uint8Array,
  expected: { digest: Digest; size?: number },
  what: string,
): void {
  if (expected.size !== undefined && content.length !== expected.size) {
    throw sizeMismatch(what, expected.size, content.length);
  }
  const actual = digestOf(content, splitDigest(expected.digest).algorithm);
  if (actual !== expected.digest) throw digestMismatch(what, expected.digest, actual);
}

/**
 * Passes a stream on and checks it at its end. Nothing that was read from it may be believed before the end is reached.
 * @throws RegistryError DIGEST_MISMATCH, as soon as there are too many bytes or at the end
 */
export async function* checkedStream(
  stream: AsyncIterable<Uint8Array>,
  expected: { digest: Digest; size?: number },
  what: string,
): AsyncGenerator<Uint8Array> {
  const hash = hashFor(expected.digest);
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.length;
    if (expected.size !== undefined && size > expected.size) throw sizeMismatch(what, expected.size, size);
    hash.update(chunk);
    yield chunk;
  }
  if (expected.size !== undefined && size !== expected.size) throw sizeMismatch(what, expected.size, size);
  const actual = `${splitDigest(expected.digest).algorithm}:${hash.digest('hex')}`;
  if (actual !== expected.digest) throw digestMismatch(what, expected.digest, actual);
}

function sizeMismatch(what: string, expected: number, actual: number): RegistryError {
  const problem = actual < expected ? `ended after ${actual}` : `has at least ${actual}`;
  return new RegistryError('DIGEST_MISMATCH', `${what} ${problem} of the expected ${expected} bytes`, {
    hint: 'The registry, a proxy or the disk returned damaged content; nothing of it was used.',
  });
}

function digestMismatch(what: string, expected: string, actual: string): RegistryError {
  return new RegistryError('DIGEST_MISMATCH', `${what} has digest ${actual}, expected ${expected}`, {
    hint: 'The registry, a proxy or the disk returned damaged or forged content; nothing of it was used.',
  });
}

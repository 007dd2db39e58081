// Hashes, by node:crypto. In the native executable hash.bun.ts takes the place of this module (scripts/bun-modules.mjs).

import { createHash } from 'node:crypto';

/** What is used of a hash. */
export interface Hash {
  update(data: Uint8Array | string): unknown;
  digest(encoding: 'hex'): string;
}

export type HashAlgorithm = 'sha256' | 'sha512';

export const newHash = (algorithm: HashAlgorithm): Hash => createHash(algorithm);

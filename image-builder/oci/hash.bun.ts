// Hashes, by Bun itself: to load its node:crypto takes longer than to read a profile.

import type { Hash, HashAlgorithm } from './hash.ts';

declare const Bun: { CryptoHasher: new (algorithm: HashAlgorithm) => Hash };

export const newHash = (algorithm: HashAlgorithm): Hash => new Bun.CryptoHasher(algorithm);

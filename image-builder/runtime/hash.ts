// What the hashes of both runtimes have in common.

/** What is used of a hash. */
export interface Hash {
  update(data: Uint8Array | string): unknown;
  digest(encoding: 'hex'): string;
}

export type HashAlgorithm = 'sha256' | 'sha512';

// The digests that consumers verify downloads with, computed of what passes by.
import { createHash } from 'node:crypto';
import type { Checksums } from './model.ts';

/** By the names of {@link Checksums}. */
export const CHECKSUM_ALGORITHMS = ['md5', 'sha256', 'sha512'] as const;

/** All of them of one file, which comes in parts. */
export class RunningChecksums {
  readonly #hashes = CHECKSUM_ALGORITHMS.map((name) => createHash(name));

  update(data: Buffer): void {
    for (const hash of this.#hashes) hash.update(data);
  }

  /** Of everything until now; it takes no more then. */
  finish(): Checksums {
    const [md5 = '', sha256 = '', sha512 = ''] = this.#hashes.map((hash) => hash.digest('hex'));
    return { md5, sha256, sha512 };
  }
}

// How far a reading is covered by the digest of the image.

import type { Reference } from '../../oci/reference.ts';

/** From the weakest. */
export type Verification =
  /** Something was taken from a part of a layer that nobody has checked, or a layer was left out by guess. */
  | 'partial'
  /** Every byte of the answer is covered by the digest; layers that the image's own history rules out were not read. */
  | 'verified'
  /** Every layer that counts was read to its end; no history was believed. */
  | 'full';

const ORDER: Verification[] = ['partial', 'verified', 'full'];

/** The weakest of some. */
export function weakest(...all: Verification[]): Verification {
  return ORDER.find((one) => all.includes(one)) ?? 'full';
}

/** What is demanded of a reading: what the user has said, else that a digest in the reference is a promise. */
export function demanded(reference: Reference, said: 'partial' | 'full' | undefined): Verification {
  return said ?? (reference.digest ? 'verified' : 'partial');
}

/** Tells the user of a reading in part; undefined when there is nothing to tell. */
export function partialWarning(verification: Verification, image: string): string | undefined {
  if (verification !== 'partial') return undefined;
  return `${image} was read in part, and not all of that was verified against its digest; use a reference with a digest, or request full verification`;
}

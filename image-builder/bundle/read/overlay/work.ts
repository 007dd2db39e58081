// Limits what laying layers over each other may take: it does not wait for anything, so nothing else could end it.

import { RegistryError } from '../../../oci/http/registry-error.ts';

/** A listing of a million files takes half of them. */
const STEPS = 50_000_000;

/** Counts steps. */
export class Work {
  #left = STEPS;

  /** @throws RegistryError TOO_LARGE */
  spend(steps: number): void {
    this.#left -= steps;
    if (this.#left >= 0) return;
    throw new RegistryError('TOO_LARGE', 'the links and whiteouts of the image take too long to resolve', {
      hint: 'It may have been made to keep readers busy, or is not the intended image.',
    });
  }
}

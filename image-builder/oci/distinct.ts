// Content that is named several times is one.
import type { Descriptor } from './model.ts';

/** One descriptor for each digest, in the order in which they first come. */
export function distinct(descriptors: readonly Descriptor[]): Descriptor[] {
  return [...new Map(descriptors.map((descriptor) => [descriptor.digest, descriptor])).values()];
}

// What the stage `preload` leaves in the store.
import { join } from 'node:path';
import { factsOf } from '../../pipeline/recorded.ts';
import { LAYOUT_DIRECTORY, LIST_FILE } from '../../spec/variables/kubernetes/preload.ts';
import type { Entry } from '../../store/entry.ts';

/** Facts of the entry. */
export interface PreloadFacts {
  /** Bytes of all blobs. */
  bytes: number;
  /** None of its own: that of the packages counts. */
  sourceDateEpoch: 0;
}

/**
 * The images of an entry: an OCI layout, and the list of their names and digests.
 * @throws TypeError for the entry of another stage, or none
 */
export function readPreloadEntry(entry: Entry | undefined): { layout: string; list: string; bytes: number } {
  const { bytes } = factsOf<PreloadFacts>('preload', entry);
  const directory = entry?.directory ?? '';
  return { layout: join(directory, LAYOUT_DIRECTORY), list: join(directory, LIST_FILE), bytes };
}

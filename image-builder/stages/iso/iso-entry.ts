// What the stage `iso` leaves in the store.
import { join } from 'node:path';
import type { IsoArtifact } from '../../bundle/model.ts';
import { factsOf } from '../../pipeline/recorded.ts';
import type { Entry } from '../../store/entry.ts';

/** Facts of the entry. */
export interface IsoFacts {
  artifact: IsoArtifact;
  secureBoot: boolean;
}

/**
 * The ISO of an entry.
 * @throws TypeError for the entry of another stage, or none
 */
export function readIsoEntry(entry: Entry | undefined): { path: string; artifact: IsoArtifact } {
  const { artifact } = factsOf<IsoFacts>('iso', entry);
  return { path: join(entry?.directory ?? '', artifact.file), artifact };
}

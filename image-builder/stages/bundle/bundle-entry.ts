// The bundle as the store has it: an OCI layout without a tag, and what the caller wants to know without opening it.
import { join } from 'node:path';
import type { Artifacts, Profile } from '../../bundle/model.ts';
import type { AssembledBundle } from '../../bundle/write/assemble.ts';
import type { Descriptor } from '../../oci/model.ts';
import { factsOf } from '../../pipeline/recorded.ts';
import type { Entry } from '../../store/entry.ts';

/** Directory of the layout in the entry. */
export const LAYOUT_DIRECTORY = 'layout';

/** Facts of a bundle's entry. */
export interface BundleFacts {
  manifest: Descriptor;
  artifacts: Artifacts;
  profiles: Profile[];
}

/** The facts to note for a bundle. */
export function bundleFacts(
  { manifest, artifacts }: AssembledBundle,
  profiles: readonly Profile[],
): BundleFacts {
  return { manifest, artifacts, profiles: [...profiles] };
}

/**
 * The bundle in an entry.
 * @throws TypeError for the entry of another stage
 */
export function readBundleEntry(entry: Entry): AssembledBundle & { profiles: Profile[] } {
  const { manifest, artifacts, profiles } = factsOf<BundleFacts>('bundle', entry);
  return { directory: join(entry.directory, LAYOUT_DIRECTORY), manifest, artifacts, profiles };
}

// The bundle as the store has it: an OCI layout without a tag, and what the caller wants to know without opening it.
import { join } from 'node:path';
import type { Artifacts, Profile } from '../../bundle/model.ts';
import type { AssembledBundle } from '../../bundle/write/assemble.ts';
import type { Descriptor } from '../../bundle/write/manifest.ts';
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
export function bundleFacts(bundle: AssembledBundle, profiles: readonly Profile[]): Record<string, unknown> {
  const facts: BundleFacts = {
    manifest: bundle.manifest,
    artifacts: bundle.artifacts,
    profiles: [...profiles],
  };
  return { ...facts };
}

/** The bundle in an entry. */
export function readBundleEntry(entry: Entry): AssembledBundle & { profiles: Profile[] } {
  // Written by bundleFacts for the same key, which contains the hash of this code.
  const { manifest, artifacts, profiles } = entry.facts as unknown as BundleFacts;
  return { directory: join(entry.directory, LAYOUT_DIRECTORY), manifest, artifacts, profiles };
}

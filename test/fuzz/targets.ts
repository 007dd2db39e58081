// Everything that is fuzzed. Each group has a suite of its own in test/e2e/fuzz, so that workers of jest share them.
import type { Target } from './campaign.ts';
import { advisories, statements } from './targets/evidence.ts';
import { chunked, compressed, manifests } from './targets/oci.ts';
import { qcow2 } from './targets/qcow2.ts';
import { challenges, logins, references, registries } from './targets/registry.ts';
import { tar } from './targets/tar.ts';
import { data, resourceLists } from './targets/yaml.ts';

export const GROUPS = {
  images: [tar, manifests, chunked, qcow2] as readonly Target[],
  registries: [references, challenges, logins, registries] as readonly Target[],
  streams: [compressed, resourceLists, data] as readonly Target[],
  evidence: [statements, advisories] as readonly Target[],
};

export const TARGETS: readonly Target[] = Object.values(GROUPS).flat();

// Everything that is fuzzed.
import type { Target } from './campaign.ts';
import { chunked, compressed, manifests } from './targets/oci.ts';
import { challenges, logins, references, registries } from './targets/registry.ts';
import { tar } from './targets/tar.ts';
import { data, resourceLists } from './targets/yaml.ts';

export const TARGETS = [
  ...[tar, manifests, chunked, compressed, references, challenges, logins, registries],
  ...[resourceLists, data],
] as readonly Target[];

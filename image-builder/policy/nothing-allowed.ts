// The policy of a program that somebody else has started for a build, in a container or a Pod: whoever started it has judged the
// build, and leaves it nothing but its tools.
import type { Policy } from './policy.ts';

export const NOTHING_ALLOWED: Policy = {
  caller: 'render',
  read: [],
  write: [],
  push: [],
  stores: [],
  bundles: [],
  storesOfSpec: false,
  images: [],
  networks: [],
  namespaces: [],
  backgroundBuilds: false,
  credentialHelpers: false,
};

// Policies for tests that call the engine itself.
import type { Policy } from '../../image-builder/policy/policy.ts';

/** What a person may do on a machine without any policy. */
export const PERSON: Policy = {
  caller: 'person',
  read: [],
  write: [],
  push: ['*'],
  stores: [],
  bundles: [],
  storesOfSpec: true,
  images: ['*'],
  networks: ['default', '*'],
  namespaces: ['*'],
  backgroundBuilds: true,
  credentialHelpers: true,
};

/** What a render may do there. */
export const RENDER: Policy = {
  ...PERSON,
  caller: 'render',
  push: [],
  storesOfSpec: false,
  images: [],
  networks: ['default'],
  backgroundBuilds: false,
};

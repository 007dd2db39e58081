// What a program in a Pod may do, and how it reaches the registry of the shared store.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Env } from '../../base/env.ts';
import { NOTHING_ALLOWED } from '../../policy/nothing-allowed.ts';
import type { Policy, TrustedStore } from '../../policy/policy.ts';
import { IN_POD } from './protocol.ts';

/** Credentials, authority and signing key, as far as this container has them. */
export function registryEnvironment(): Env {
  const authority = join(IN_POD.registry, 'ca.crt');
  return {
    ...(existsSync(join(IN_POD.registry, 'config.json')) && { DOCKER_CONFIG: IN_POD.registry }),
    ...(existsSync(authority) && { SSL_CERT_FILE: authority }),
    ...(existsSync(IN_POD.signingKey) && { IMAGE_BUILDER_SIGNING_KEY: IN_POD.signingKey }),
  };
}

/** Whoever has made the Job has judged the build, and leaves it the shared store. */
export function podPolicy(store: TrustedStore): Policy {
  return { ...NOTHING_ALLOWED, push: [store.repository], stores: [store] };
}

// The name of a build's shared store. Alone, so that a render without one loads no cryptography.

import type { Env } from '../../base/env.ts';
import type { Policy } from '../../policy/policy.ts';
import type { ResolvedBuild } from '../../spec/variables/resolved.ts';
import type { Belief } from '../../store/origin.ts';
import { isOwn } from '../../store/origin.ts';

/** The repository that the spec or the environment names; undefined when nothing is shared. */
export function sharedRepository({ store }: Pick<ResolvedBuild, 'store'>, env: Env): string | undefined {
  return store?.repository ?? (env.IMAGE_BUILDER_STORE_REPOSITORY || undefined);
}

/** Whose entries of the local store count. @throws InvalidInputError for keys that are none */
export async function findBelief(resolved: Pick<ResolvedBuild, 'store'>, policy: Policy): Promise<Belief> {
  if (!resolved.store?.trust && policy.stores.length === 0) return isOwn;
  return (await import('./trusted-stores.ts')).beliefOf(resolved, policy);
}

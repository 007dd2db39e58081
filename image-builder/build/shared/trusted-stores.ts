// Whom a build believes: what the policy says of shared stores, narrowed by what the spec says.

import type { KeyObject } from 'node:crypto';
import { type Finding, InvalidInputError } from '../../base/diagnostics/error.ts';
import type { Env } from '../../base/env.ts';
import { matchesRepository } from '../../policy/patterns.ts';
import type { Policy, TrustedStore } from '../../policy/policy.ts';
import { mayPush } from '../../policy/push-rules.ts';
import { howToAllow } from '../../policy/refusal.ts';
import type { ResolvedBuild } from '../../spec/variables/resolved.ts';
import { type Belief, isOwn } from '../../store/origin.ts';
import { keyId, parsePublicKey, type TrustPolicy } from '../../store/shared/trust.ts';

/** The shared store of a build. */
export interface Sharing {
  /** Repository with its registry. */
  repository: string;
  trust: TrustPolicy;
  /** Whether results may be pushed to it. */
  mayPush: boolean;
  /** What of the spec's wishes is not granted, and what would. */
  refusals: string[];
}

/**
 * @param repository that the spec or the environment names
 * @returns only the refusals where it may not be asked
 * @throws InvalidInputError for keys that are none
 */
export function sharingOf(
  { store }: Pick<ResolvedBuild, 'store'>,
  repository: string,
  policy: Policy,
  env: Env,
): Sharing | { refusals: string[] } {
  const named = policy.stores.filter((one) => matchesRepository(one.repository, repository));
  if (named.length === 0 && !policy.storesOfSpec) {
    const how = howToAllow({
      variable: `IMAGE_BUILDER_STORE_REPOSITORY=${repository}`,
      line: `stores: [{repository: ${repository}, keys: [...]}]`,
    });
    return { refusals: [`the shared store ${repository} of the spec is not used; ${how}`] };
  }
  const trust = trustOf(store?.trust, named, policy);
  const refusals: string[] = [];
  if (store?.trust?.registry && trust.kind !== 'registry') {
    const how = howToAllow({
      variable: `IMAGE_BUILDER_STORE_TRUST=registry with IMAGE_BUILDER_STORE_REPOSITORY=${repository}`,
      line: `stores: [{repository: ${repository}, trustRegistry: true}]`,
    });
    refusals.push(`a spec cannot make everybody trusted who may write to ${repository}; ${how}`);
  }
  // Whoever names repository and key has allowed it.
  const isCallers = repository === env.IMAGE_BUILDER_STORE_REPOSITORY;
  return { repository, trust, mayPush: isCallers || mayPush(policy, repository), refusals };
}

/** Whose entries of the local store count: what was made here, and what those vouch for whom the build would believe. */
export function beliefOf({ store }: Pick<ResolvedBuild, 'store'>, policy: Policy): Belief {
  const trust = trustOf(store?.trust, policy.stores, policy);
  const keys = new Set(trust.kind === 'keys' ? trust.keys.map(keyId) : keysOf(policy.stores).map(keyId));
  const registries = trust.kind === 'registry' ? policy.stores.filter((one) => one.trustRegistry) : [];
  return (origin) => {
    if (isOwn(origin)) return true;
    if (origin.startsWith('key:')) return keys.has(origin.slice('key:'.length));
    const repository = origin.slice('registry:'.length);
    return registries.some((one) => matchesRepository(one.repository, repository));
  };
}

/** What the stores of the policy vouch for, as far as the spec wants it. */
function trustOf(
  wanted: NonNullable<ResolvedBuild['store']>['trust'],
  stores: readonly TrustedStore[],
  { storesOfSpec }: Policy,
): TrustPolicy {
  const ofSpec = wanted?.keys && parseKeys(wanted.keys, (index) => `spec.build.store.trust.keys[${index}]`);
  if (storesOfSpec) return { kind: 'keys', keys: ofSpec ?? [] };
  const keys = keysOf(stores);
  if (!ofSpec) return stores.some((one) => one.trustRegistry) ? { kind: 'registry' } : { kind: 'keys', keys };
  // A registry that is believed vouches for no key: whoever names keys gets those that the policy names too.
  const wantedIds = new Set(ofSpec.map(keyId));
  return { kind: 'keys', keys: keys.filter((key) => wantedIds.has(keyId(key))) };
}

function keysOf(stores: readonly TrustedStore[]): KeyObject[] {
  return stores.flatMap(({ repository, keys }) =>
    parseKeys(keys, (index) => `stores[repository=${repository}].keys[${index}] of the policy`),
  );
}

function parseKeys(texts: readonly string[], fieldOf: (index: number) => string): KeyObject[] {
  const keys = texts.map(parsePublicKey);
  const findings = texts.flatMap((_, index): Finding[] => {
    const message = 'is not an Ed25519 public key (openssl pkey -in key.pem -pubout)';
    return keys[index] ? [] : [{ severity: 'error', field: fieldOf(index), message }];
  });
  if (findings.length > 0) throw new InvalidInputError(findings);
  return keys.filter((key) => key !== undefined);
}

// The policies that a bundle must satisfy: the spec's, and the machine's.

import type { TrustPolicy } from '../../attestation/policy.ts';
import { trustPolicy } from '../../attestation/trust-policy.ts';
import type { TrustSettings } from '../../attestation/trust-settings.ts';
import type { Reference } from '../../oci/reference.ts';
import { matchesRepository } from '../../policy/patterns.ts';
import type { BundleRule, Policy } from '../../policy/policy.ts';

/**
 * @param wanted what the spec or the caller demands
 * @param where the field with it, for errors
 * @throws TrustError TRUST_KEY_UNUSABLE
 */
export function trustFor(
  reference: Reference,
  { bundles }: Pick<Policy, 'bundles'>,
  wanted?: TrustSettings,
  where = 'spec.bundle.trust',
): TrustPolicy[] {
  const rules = bundles.flatMap((group) => group.find((rule) => isAbout(rule, reference)) ?? []);
  return [
    ...rules.map(({ repository, trust }) =>
      trustPolicy(trust, `bundles[repository=${repository}].trust of the policy`),
    ),
    ...(wanted ? [trustPolicy(wanted, where)] : []),
  ];
}

function isAbout({ repository }: BundleRule, reference: Reference): boolean {
  if (reference.transport !== 'registry') return repository === '*';
  return matchesRepository(repository, `${reference.registry}/${reference.repository}`);
}

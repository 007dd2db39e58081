// The shared store of a build in a cluster: without it, nothing comes from one Pod to another.
import { invalidInput } from '../../base/diagnostics/error.ts';
import type { Env } from '../../base/env.ts';
import type { Policy, TrustedStore } from '../../policy/policy.ts';
import type { ResolvedBuild } from '../../spec/variables/resolved.ts';
import { sharedRepository } from '../shared/repository.ts';
import { sharingOf } from '../shared/trusted-stores.ts';
import type { StageRequest } from './protocol.ts';

/**
 * The store, and whom the Pods believe there: as far as this caller would.
 * @throws InvalidInputError where there is none, or where nothing of it could be used
 */
export function requireSharing(resolved: ResolvedBuild, policy: Policy, env: Env): TrustedStore {
  const repository = sharedRepository(resolved, env);
  if (repository === undefined)
    throw invalidInput(
      'spec.build.store',
      'is missing: Jobs hand their results on by a shared store; name its repository and whom to trust',
    );
  const sharing = sharingOf(resolved, repository, policy, env);
  if (!('trust' in sharing)) throw invalidInput('spec.build.store', sharing.refusals.join('; '));
  const { trust } = sharing;
  if (trust.kind === 'registry') return { repository, keys: [], trustRegistry: true };
  const field = 'spec.build.executor.kubernetes.signingSecret';
  if (trust.keys.length === 0)
    throw invalidInput(
      'spec.build.store.trust',
      `trusts nobody: nothing that Jobs push to ${repository} could be used; name the public key of ${field}, or let a policy trust the registry`,
    );
  if (resolved.executor.kubernetes?.signingSecret === undefined)
    throw invalidInput(
      field,
      `is missing: results in ${repository} count only if they are signed by a trusted key`,
    );
  const keys = trust.keys.map((key) => key.export({ type: 'spki', format: 'pem' }).toString());
  return { repository, keys, trustRegistry: false };
}

/** The build as a Pod does it: nowhere to publish, nobody to ask. */
export function asBuiltThere(resolved: ResolvedBuild): ResolvedBuild {
  const { store: _, bundle, ...rest } = resolved;
  const { layout: __, archive: ___, repository: ____, ...contained } = bundle;
  return { ...rest, executor: { local: {} }, whenMissing: 'Build', bundle: { ...contained, disks: false } };
}

/** What decides bytes, or how the network is reached. */
export function environmentOf(env: Env): StageRequest['environment'] {
  const proxies = ['http_proxy', 'https_proxy', 'no_proxy'];
  const names = ['SOURCE_DATE_EPOCH', ...proxies, ...proxies.map((name) => name.toUpperCase())];
  return Object.fromEntries(names.flatMap((name) => (env[name] ? [[name, env[name]] as const] : [])));
}

// The shared store of a build in a container. It is asked and served from here, where the credentials and keys are: the
// container sees what came of it, and no more.

import { findEntry } from '../../pipeline/lookup.ts';
import type { ResolvedBuild } from '../../spec/variables/resolved.ts';
import { isPushDue } from '../../store/pending-push.ts';
import type { BuildOptions } from '../build-options.ts';
import { fetchMissing, openShared, type SharedPlan, shareResults } from '../shared/shared-results.ts';

/**
 * Fetches what a plan lacks.
 * @returns undefined when no store is shared
 */
export async function openSharing(
  resolved: ResolvedBuild,
  plan: SharedPlan,
  options: BuildOptions,
): Promise<{ share(): Promise<void> } | undefined> {
  const shared = await openShared(resolved, { ...options, env: options.env ?? process.env });
  if (!shared) return undefined;
  const { signal } = options;
  const bundle = plan.stages.find(({ kind }) => kind === 'bundle');
  const known = bundle && (await findEntry(plan.store, bundle, signal));
  await fetchMissing(shared, plan, signal);
  const share = async () => {
    // What was there before was pushed then, unless that has failed.
    if (!known || (await isPushDue(known))) {
      await shareResults(shared, plan, signal, { isRetry: known !== undefined });
    }
  };
  return { share };
}

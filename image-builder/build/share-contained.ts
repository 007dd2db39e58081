// The shared store of a build in a container.
import { storeDirectory } from '../store/location.ts';
import { openStore } from '../store/store.ts';
import { isPushDue } from '../store/unshared.ts';
import type { ResolvedBuild } from '../variables/types.ts';
import type { BuildOptions } from './build.ts';
import { findEntry } from './lookup.ts';
import { fetchMissing, openShared, type SharedPlan, shareResults } from './shared.ts';
import { findBelief } from './shared-repository.ts';

/** The plan as the container makes it. */
export type ContainedPlan = Omit<SharedPlan, 'store'>;

/**
 * The shared store is asked and served from here, where the credentials and keys are: the container sees what came of
 * it in the store, and no more.
 * @param isRemote whether the container's store is on another machine
 * @param plan asks the container
 */
export async function openSharing(
  isRemote: boolean,
  resolved: ResolvedBuild,
  options: BuildOptions,
  plan: () => Promise<ContainedPlan>,
): Promise<{ share(): Promise<void> } | undefined> {
  const shared = await openShared(resolved, options);
  if (!shared) return undefined;
  if (isRemote) {
    const message = 'warning: the shared store is not used with an engine of another machine';
    options.report({ type: 'step', stage: 'container', message });
    return undefined;
  }
  const { signal } = options;
  const store = await openStore(
    storeDirectory(options.env ?? process.env, options),
    await findBelief(resolved, options.policy),
  );
  const contained = { ...(await plan()), store };
  const findBundle = async () => {
    const bundle = contained.stages.find(({ kind }) => kind === 'bundle');
    return bundle && (await findEntry(store, bundle, signal));
  };
  const known = await findBundle();
  await fetchMissing(shared, contained, signal);
  const share = async () => {
    // What was there before was pushed then, unless that has failed.
    if (!known || (await isPushDue(known))) {
      await shareResults(shared, contained, signal, { isRetry: known !== undefined });
    }
  };
  return { share };
}

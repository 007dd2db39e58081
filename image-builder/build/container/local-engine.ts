// A build by an engine on this machine: the store is here, and the container gets a directory of its own for each of its
// runs. It tells the keys, which its tools decide; what is missing is made, taken over and published from here.

import { acquireLock, type Lock } from '../../base/locking/file-lock.ts';
import { baseDirectory, type PinnedBase } from '../../bundle/base-image.ts';
import type { BundleContents } from '../../bundle/model.ts';
import { readSourceDateEpoch } from '../../pipeline/epoch.ts';
import { findEntry, findMissing } from '../../pipeline/lookup.ts';
import type { ResolvedBuild } from '../../spec/variables/resolved.ts';
import { localBase } from '../../stages/bundle/base-image.ts';
import { stagesOf } from '../../stages/index.ts';
import { type Entry, entryName } from '../../store/entry.ts';
import { touchEntry } from '../../store/gc.ts';
import { storeDirectory } from '../../store/location.ts';
import { openStore, prepareStore, type Store, storePath } from '../../store/store.ts';
import type { BuildOptions } from '../build-options.ts';
import { noteBuild, publishEntry } from '../finished-bundle.ts';
import { requirePush } from '../publish.ts';
import { findBelief } from '../shared/repository.ts';
import type { SharedStage } from '../shared/shared-results.ts';
import { type ContainedBuild, type ContainedPlan, fetchingStages } from './protocol.ts';
import { openSharing } from './sharing.ts';
import { inContainedWork, type WorkMounts } from './work-directory.ts';

/** Runs a program of the builder image. */
export interface ContainerRunner {
  /** Asks for the plan; the container sees nothing of ours. */
  plan(): Promise<ContainedPlan>;
  /** Builds. @param network whether it gets the network of stages that fetch */
  build(request: Pick<ContainedBuild, 'stages'>, mounts: WorkMounts, network: boolean): Promise<void>;
  /** Removes a directory that belongs to root, or to a subordinate user. */
  removeTree(path: string): Promise<void>;
}

/**
 * Builds what is missing, and puts the bundle where the spec says.
 * @throws errors of the runner, StoreError, those of publishing
 */
export async function buildBeside(
  resolved: ResolvedBuild,
  runner: ContainerRunner,
  options: BuildOptions,
): Promise<BundleContents> {
  const env = options.env ?? process.env;
  const store = await openStore(storeDirectory(env, options), await findBelief(resolved, options.policy));
  await prepareStore(store);
  const plan = await runner.plan();
  const targets = plan.targets;
  let bundle = await findBundle(store, plan, options.signal);
  if (!bundle) requirePush(resolved.bundle, options.policy);
  const sharing = await openSharing(resolved, { ...plan, store }, options);
  bundle ??= await findBundle(store, plan, options.signal);
  if (!bundle) {
    await buildMissing(resolved, { ...plan, store }, runner, options);
    bundle = await findBundle(store, plan, options.signal);
  }
  if (!bundle) throw new TypeError(`the container did not build ${targets.join(', ')}`);
  await sharing?.share();
  return await publishEntry(resolved, store, bundle, options);
}

/** The bundle, when it and the boot tests are there. */
async function findBundle(
  store: Store,
  { stages, targets }: ContainedPlan,
  signal: AbortSignal,
): Promise<Entry | undefined> {
  const wanted = stages.filter(({ name }) => targets.includes(name));
  const entries = await Promise.all(wanted.map((stage) => findEntry(store, stage, signal)));
  return entries.some((entry) => !entry) ? undefined : entries.find((entry) => entry?.kind === 'bundle');
}

/** Runs what is missing: the stages that fetch in a container that has a network, the others in one that has none. */
async function buildMissing(
  resolved: ResolvedBuild,
  plan: ContainedPlan & { store: Store },
  runner: ContainerRunner,
  options: BuildOptions,
): Promise<void> {
  const { store, stages, targets } = plan;
  const { signal, report } = options;
  const cache = storePath(store, 'cache');
  // The container has no network: it finds a base image where builds on this machine keep theirs.
  const { base } = resolved.bundle;
  if (typeof base === 'object') {
    await localBase(resolved, cache, {
      ...options,
      step: (message) => report({ type: 'step', stage: 'container', message }),
    });
  }
  const locks = await lockAll(store, await findMissing(store, stages, targets, signal), options);
  try {
    const run = async (wanted: readonly string[], network: boolean) => {
      const missing = await findMissing(store, stages, wanted, signal);
      if (missing.length === 0) return;
      const work = {
        store,
        needed: await parentsOf(store, stages, missing, signal),
        cached:
          typeof base === 'object'
            ? [baseDirectory(base as PinnedBase, resolved.rootfs.multistrap.rootfs_arch, cache)]
            : [],
        expected: missing,
        build: resolved.name,
        removeTree: runner.removeTree,
        signal,
      };
      await inContainedWork(work, (mounts) => runner.build({ stages: [...wanted] }, mounts, network));
    };
    const missing = await findMissing(store, stages, targets, signal);
    const fetching = fetchingStages(resolved).filter((name) => missing.some((stage) => stage.name === name));
    if (fetching.length > 0) await run(fetching, true);
    await run(targets, false);
  } finally {
    for (const lock of locks) await lock.release();
  }
  await noteContained(resolved, plan, options);
}

/** The results that stages start from and that are not made with them. */
async function parentsOf(
  store: Store,
  stages: readonly SharedStage[],
  missing: readonly SharedStage[],
  signal: AbortSignal,
): Promise<Entry[]> {
  const names = new Set(missing.flatMap(({ parents }) => parents));
  const parents = stages.filter((stage) => names.has(stage.name) && !missing.includes(stage));
  for (const parent of parents) await touchEntry(store, parent);
  const entries = await Promise.all(parents.map((stage) => findEntry(store, stage, signal)));
  return entries.filter((entry) => entry !== undefined);
}

/** The locks of stages, in the order of the plan, which is that of everybody else: nobody waits in a circle. */
async function lockAll(
  store: Store,
  stages: readonly SharedStage[],
  { signal, report }: BuildOptions,
): Promise<Lock[]> {
  const locks: Lock[] = [];
  try {
    for (const stage of stages) {
      const onWait = () => report({ type: 'stage', stage: stage.name, status: 'waiting' });
      locks.push(await acquireLock(storePath(store, 'locks', entryName(stage)), { signal, onWait }));
    }
    return locks;
  } catch (error) {
    for (const lock of locks) await lock.release();
    throw error;
  }
}

/** Notes the build in the history, as one without a container would. */
async function noteContained(
  resolved: ResolvedBuild,
  { store, stages }: ContainedPlan & { store: Store },
  { env = process.env, signal }: BuildOptions,
): Promise<void> {
  const bundle = await findBundle(store, { stages, targets: ['bundle'] }, signal);
  if (!bundle) return;
  const ofBuild = stagesOf(resolved, { sourceDateEpoch: readSourceDateEpoch(env) });
  const inputs = new Map(ofBuild.map(({ definition }) => [definition.name, definition.inputs]));
  await noteBuild(
    store,
    resolved.name,
    bundle,
    stages.map((stage) => ({ ...stage, inputs: inputs.get(stage.name) })),
  );
}

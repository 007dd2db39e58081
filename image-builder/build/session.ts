// An open build: its plan and its surroundings. Opened once for everything that is done with it.
import { InvalidInputError } from '../base/diagnostics/error.ts';
import { readSourceDateEpoch } from '../pipeline/epoch.ts';
import { type PlannedStage, planStages } from '../pipeline/plan.ts';
import type { ResolvedBuild } from '../spec/variables/resolved.ts';
import { withPinnedBase } from '../stages/bundle/base-image.ts';
import { stagesOf } from '../stages/index.ts';
import { withPinnedImages } from '../stages/preload/pin-images.ts';
import { checkDisks } from '../stages/qcow/check-disks.ts';
import type { StageOfBuild } from '../stages/stage.ts';
import { stageCode } from '../stages/stage-code.ts';
import { toolVersions } from '../stages/tool-versions.ts';
import { storeDirectory } from '../store/location.ts';
import type { SharedStore } from '../store/shared/shared-store.ts';
import { openStore, type Store } from '../store/store.ts';
import type { BuildOptions } from './build-options.ts';
import { checkLock } from './packages/check-lock.ts';
import { findBelief } from './shared/repository.ts';

/** What planning needs of a build's surroundings. */
export type PlanningOptions = Pick<
  BuildOptions,
  'cwd' | 'policy' | 'believes' | 'store' | 'env' | 'pinned' | 'credentials' | 'builder' | 'mounts'
> & { signal?: AbortSignal };

/** A planned build with the store that it looks into. */
export interface BuildPlan {
  /** With the digests of its base image and of the images that its disks carry. */
  resolved: ResolvedBuild;
  store: Store;
  /** Parents come first. */
  stages: PlannedStage[];
  /** Names of the stages whose results are wanted: the bundle, and the boot tests that were asked for. */
  targets: string[];
  /** The stage of a name with the code that does its work. */
  stageOf(name: string): StageOfBuild;
}

/** A planned build, and everything that is done with and for it. */
export interface BuildSession extends BuildPlan, Omit<BuildOptions, 'store'> {
  env: NonNullable<BuildOptions['env']>;
  /** Whether the caller has said where the store is. */
  namesStore: boolean;
  /** The shared store; undefined when none is used. Opened at most once, so that it warns once. */
  shared(): Promise<SharedStore | undefined>;
}

/**
 * Plans a build. Reads the versions of the tools, and asks registries what images by tag stand for now; nothing else.
 * @throws RegistryError when that cannot be found out; InvalidInputError for disks or a lock that do not fit
 */
export async function planBuild(given: ResolvedBuild, options: PlanningOptions): Promise<BuildPlan> {
  checkDisks(given);
  checkLock(given);
  const resolved = await withPinnedImages(await withPinnedBase(given, options), options);
  const env = options.env ?? process.env;
  const believes = options.believes ?? (await findBelief(resolved, options.policy));
  const store = await openStore(storeDirectory(env, options), believes);
  const ofBuild = stagesOf(resolved, { sourceDateEpoch: readSourceDateEpoch(env) });
  const definitions = ofBuild.map(({ definition }) => definition);
  const { code, tools } = options.builder ?? {
    code: stageCode,
    tools: await toolVersions(
      new Set(definitions.flatMap((definition) => definition.tools)),
      resolved.rootfs.multistrap.rootfs_arch,
      options.mounts,
    ),
  };
  const stages = planStages(definitions, code, tools, options.pinned);
  const targets = stages.filter(({ kind }) => kind === 'bundle' || kind === 'boot-test');
  const byName = new Map(ofBuild.map((stage) => [stage.definition.name, stage]));
  return {
    resolved,
    store,
    stages,
    targets: targets.map(({ name }) => name),
    stageOf: (name) => byName.get(name) ?? refuseStage(name, byName.keys()),
  };
}

/** Opens a build. @throws what {@link planBuild} throws */
export async function openSession(given: ResolvedBuild, options: BuildOptions): Promise<BuildSession> {
  const plan = await planBuild(given, options);
  const env = options.env ?? process.env;
  let shared: Promise<SharedStore | undefined> | undefined;
  const open = async () => {
    const { openShared } = await import('./shared/shared-results.ts');
    return await openShared(plan.resolved, { ...options, env });
  };
  return {
    ...options,
    ...plan,
    env,
    namesStore: options.store !== undefined,
    shared: () => {
      shared ??= open();
      return shared;
    },
  };
}

function refuseStage(name: string, names: Iterable<string>): never {
  const message = `the build has no stage ${name}; it has ${[...names].join(', ')}`;
  throw new InvalidInputError([{ severity: 'error', message }]);
}

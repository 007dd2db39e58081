// Builds what a spec describes, or finds it in the store: the engine's front door.
import { join } from 'node:path';
import { InvalidInputError } from '../base/diagnostics/error.ts';
import { localReference } from '../bundle/local-reference.ts';
import type { BundleContents } from '../bundle/model.ts';
import { stageCode } from '../embedded/stage-code.ts';
import { readSourceDateEpoch } from '../pipeline/epoch.ts';
import { explainFullDisk } from '../pipeline/full-disk.ts';
import { hashOf } from '../pipeline/keys.ts';
import { findByRecipe, findEntry, findMissing } from '../pipeline/lookup.ts';
import { type PlannedStage, planStages } from '../pipeline/plan.ts';
import { withRepairs } from '../pipeline/repair.ts';
import { runStages } from '../pipeline/scheduler.ts';
import type { ResolvedBuild } from '../spec/variables/resolved.ts';
import { withPinnedBase } from '../stages/bundle/base-image.ts';
import { readBundleEntry } from '../stages/bundle/bundle-entry.ts';
import { defineStages, FUNCTION_BASE } from '../stages/definitions.ts';
import { checkDisks } from '../stages/qcow/check-disks.ts';
import { toolVersions } from '../stages/tool-versions.ts';
import type { Entry } from '../store/entry.ts';
import { storeDirectory } from '../store/location.ts';
import { isPushDue } from '../store/pending-push.ts';
import { openStore, prepareStore, type Store, storePath } from '../store/store.ts';
import { createWorkspace, treeRemover } from '../store/workspace.ts';
import type { BuildOptions } from './build-options.ts';
import { noteBuild, publishEntry } from './finished-bundle.ts';
import { checkLock } from './packages/check-lock.ts';
import { requirePlaces, requirePush } from './publish.ts';
import { findBelief } from './shared/repository.ts';

/** A planned build with the store that it looks into. */
export interface BuildPlan {
  store: Store;
  stages: PlannedStage[];
  /** Names of the stages whose results are wanted: the bundle, and the boot tests that were asked for. */
  targets: string[];
}

/**
 * Plans a build; reads the versions of the tools and nothing else, but what a base image by tag stands for now.
 * @throws RegistryError when that cannot be found out
 */
export async function planBuild(
  given: ResolvedBuild,
  options: Pick<BuildOptions, 'cwd' | 'policy' | 'believes' | 'store' | 'env' | 'pinned' | 'credentials'> & {
    signal?: AbortSignal;
  },
): Promise<BuildPlan> {
  checkDisks(given);
  checkLock(given);
  const resolved = await withPinnedBase(given, options);
  const env = options.env ?? process.env;
  const store = await openStore(
    storeDirectory(env, options),
    options.believes ?? (await findBelief(resolved, options.policy)),
  );
  const sourceDateEpoch = readSourceDateEpoch(env);
  const definitions = defineStages(resolved, sourceDateEpoch === undefined ? {} : { sourceDateEpoch });
  const tools = await toolVersions(
    new Set(definitions.flatMap((definition) => definition.tools)),
    resolved.rootfs.multistrap.rootfs_arch,
  );
  const stages = planStages(definitions, stageCode, tools, options.pinned);
  const targets = stages.filter(({ kind }) => kind === 'bundle' || kind === 'boot-test');
  return { store, stages, targets: targets.map(({ name }) => name) };
}

/**
 * Builds the bundle of a spec and puts it where the spec says. What the store has is not built again; what it does not
 * have is built only when `whenMissing` is `Build`.
 * @throws ImageBuilderError of the stage that failed, MissingResultError; nothing has been published then
 */
export async function build(given: ResolvedBuild, options: BuildOptions): Promise<BundleContents> {
  refuseIso(given);
  await requirePlaces(given.bundle, options);
  const resolved = await withPinnedBase(given, options);
  const { container } = resolved.executor;
  if (container && resolved.whenMissing === 'Build')
    return await (await import('./container/executor.ts')).buildInContainer(resolved, container, options);
  const plan = await planBuild(resolved, options);
  const finished = await findFinished(resolved, plan, options);
  if (finished && resolved.whenMissing === 'Build') await pushBelated(resolved, plan, finished, options);
  const entry =
    finished ?? (await fetchShared(resolved, plan, options)) ?? (await obtain(resolved, plan, options));
  return await publishEntry(resolved, plan.store, entry, options).catch((error) => {
    if (options.signal.aborted || !mayStay(resolved)) throw error;
    // Nobody has asked for a place, and this render cannot or must not write: the bundle is good where it is.
    const { directory, manifest, artifacts, profiles } = readBundleEntry(entry);
    return { reference: localReference('oci', directory, manifest.digest), artifacts, profiles };
  });
}

/** Whether a bundle that cannot be put anywhere is of use all the same. */
function mayStay({ whenMissing, bundle }: ResolvedBuild): boolean {
  const { layout, archive, repository } = bundle;
  return whenMissing === 'Fail' && layout === undefined && archive === undefined && repository === undefined;
}

/** An ISO carries cloud-init's passwords and keys, so it has no place in a bundle that is published. */
function refuseIso({ iso }: ResolvedBuild): void {
  if (iso === undefined) return;
  throw new InvalidInputError([
    {
      severity: 'error',
      field: 'spec.build.iso',
      message: 'a bundle has no ISO; make it with an IsoConfiguration, or with the builder container',
    },
  ]);
}

/**
 * Makes sure that the store has the results of these stages, by name; nothing is published.
 * @throws ImageBuilderError of the stage that failed
 */
export async function buildStages(
  resolved: ResolvedBuild,
  targets: string[],
  options: BuildOptions,
): Promise<Record<string, Entry>> {
  const plan = await planBuild(resolved, options);
  const names = plan.stages.map(({ name }) => name);
  const unknown = targets.find((target) => !names.includes(target));
  if (unknown !== undefined) {
    const message = `the build has no stage ${unknown}; it has ${names.join(', ')}`;
    throw new InvalidInputError([{ severity: 'error', message }]);
  }
  return await runTargets(resolved, { ...plan, targets }, options);
}

/** Builds those of the stages whose results the bundle still waits for: the part of a build that needs a network. */
export async function buildAhead(
  resolved: ResolvedBuild,
  names: readonly string[],
  options: BuildOptions,
): Promise<void> {
  const targets = await missingAhead(resolved, names, options);
  if (targets.length > 0) await buildStages(resolved, targets, options);
}

/** Those of the stages whose results the bundle still waits for. */
export async function missingAhead(
  resolved: ResolvedBuild,
  names: readonly string[],
  options: BuildOptions,
): Promise<string[]> {
  const { store, stages, targets } = await planBuild(resolved, options);
  const missing = await findMissing(store, stages, targets, options.signal);
  return missing.map(({ name }) => name).filter((name) => names.includes(name));
}

/** Gets what is missing in the way that the spec wants. */
async function obtain(resolved: ResolvedBuild, plan: BuildPlan, options: BuildOptions): Promise<Entry> {
  const { whenMissing, name } = resolved;
  if (whenMissing !== 'Fail') requirePush(resolved.bundle, options.policy);
  if (whenMissing === 'Build') return await execute(resolved, plan, options);
  const { env = process.env, cwd, file, program, retry = false } = options;
  const source = {
    name,
    ...(file !== undefined && { file }),
    // Another shell may not have the variable.
    ...((options.store ?? env.IMAGE_BUILDER_STORE) && { store: plan.store.directory }),
  };
  const id = hashOf(plan.stages.filter((stage) => plan.targets.includes(stage.name)).map(({ key }) => key));
  if (whenMissing === 'Fail') throw (await import('./missing-result-error.ts')).refuseToBuild(id, source);
  if (!resolved.executor.container) await requireToolsFor(resolved, plan, options.signal);
  const { refuseInBackground, refuseInContainer, triggerBuild } = await import('./background/launch.ts');
  if (!program) throw new TypeError('the caller has no program that goes on in the background');
  refuseInContainer(source);
  const command = [...program, 'run-triggered'];
  const { pinned, credentials, policy } = options;
  refuseInBackground(source, policy);
  const surroundings = {
    cwd,
    policy,
    store: plan.store.directory,
    ...(pinned && { pinned }),
    ...(credentials && { credentials }),
  };
  return await triggerBuild(
    { id, resolved, store: plan.store, surroundings, source, command, env, retry },
    () => findFinished(resolved, plan, options),
  );
}

/** @throws ToolError, BundleWriteError when something is missing for what is to be built */
async function requireToolsFor(
  { rootfs }: ResolvedBuild,
  { store, stages, targets }: BuildPlan,
  signal: AbortSignal,
): Promise<void> {
  const { requireTools } = await import('../sandbox/tools.ts');
  const { tasksOf } = await import('../stages/implementations.ts');
  const missing = await findMissing(store, stages, targets, signal);
  requireTools(tasksOf(missing));
  if (missing.some(({ tools }) => tools.includes(FUNCTION_BASE)))
    await (await import('../stages/bundle/function-base.ts')).requireFunctionBase(
      rootfs.multistrap.rootfs_arch,
    );
}

/** The bundle's entry, when it and the boot tests are there. */
async function findFinished(
  resolved: ResolvedBuild,
  plan: BuildPlan,
  { report, signal }: BuildOptions,
): Promise<Entry | undefined> {
  const began = performance.now();
  let bundle: Entry | undefined;
  const anyTools = takesAnyTools(resolved, plan);
  for (const stage of plan.stages.filter(({ name }) => plan.targets.includes(name))) {
    const entry =
      (await findEntry(plan.store, stage, signal)) ??
      (anyTools ? await findByRecipe(plan.store, stage, signal) : undefined);
    if (!entry) return undefined;
    if (stage.kind === 'bundle') bundle = entry;
  }
  report({ type: 'stage', stage: 'bundle', status: 'cached', seconds: (performance.now() - began) / 1000 });
  return bundle;
}

/** What an earlier build could not push goes now; the code for it is only loaded when there is something. */
async function pushBelated(
  resolved: ResolvedBuild,
  plan: BuildPlan,
  bundle: Entry,
  options: BuildOptions,
): Promise<void> {
  if (await isPushDue(bundle))
    await (await import('./shared/shared-results.ts')).shareBelated(resolved, plan, options);
}

/** The same after a look into the shared store, which costs no more than a few requests. */
async function fetchShared(
  resolved: ResolvedBuild,
  plan: BuildPlan,
  options: BuildOptions,
): Promise<Entry | undefined> {
  const { fetchFinished, openShared } = await import('./shared/shared-results.ts');
  const shared = await openShared(resolved, options);
  if (!shared) return undefined;
  await fetchFinished(shared, plan, takesAnyTools(resolved, plan), options.signal);
  return await findFinished(resolved, plan, options);
}

/** Packages without which nothing can be built; others are needed by some builds only, or have several names. */
const INDISPENSABLE = ['mmdebstrap', 'ansible-core', 'e2fsprogs', 'qemu-utils'];

/**
 * Whether what other tools have made of the same inputs will do: where this machine's tools will never make anything,
 * because the spec says so, because a container has its own, or because they are not there.
 */
function takesAnyTools({ whenMissing, executor }: ResolvedBuild, plan: BuildPlan): boolean {
  if (whenMissing === 'Fail' || executor.container) return true;
  const versions = Object.assign({}, ...plan.stages.map(({ toolVersions }) => toolVersions));
  return INDISPENSABLE.some((tool) => versions[tool] === 'absent');
}

/** Runs what is missing for the bundle, and notes it in the history. */
async function execute(resolved: ResolvedBuild, plan: BuildPlan, options: BuildOptions): Promise<Entry> {
  const { bundle } = await runTargets(resolved, plan, options);
  if (!bundle) throw new TypeError('the plan has no bundle');
  await noteBuild(plan.store, resolved.name, bundle, plan.stages);
  return bundle;
}

/** Runs what is missing; returns the results of the plan's targets. */
async function runTargets(
  resolved: ResolvedBuild,
  plan: BuildPlan,
  options: BuildOptions,
): Promise<Record<string, Entry>> {
  const { store, stages, targets } = plan;
  await requireToolsFor(resolved, plan, options.signal);
  const { stageImplementations } = await import('../stages/implementations.ts');

  await prepareStore(store);
  const { createLocalSandbox } = await import('../sandbox/local-sandbox.ts');
  const sandbox = await createLocalSandbox({ architecture: resolved.rootfs.multistrap.rootfs_arch });
  const removeTree = treeRemover(async (path) => {
    await sandbox.run(['rm', '-rf', '--', path]);
  });
  const { openShared, shareResults } = await import('./shared/shared-results.ts');
  const shared = await openShared(resolved, options);
  const workspace = await createWorkspace(store, removeTree);
  const { openMemory, spareMemory } = await import('../sandbox/tmpfs.ts');
  const memory = await openMemory(sandbox, join(workspace.directory, 'memory'), await spareMemory());
  try {
    const results = await withRepairs(store, stages, workspace.directory, () =>
      runStages(stages, targets, {
        ...options,
        ...(shared && { fetch: (stage) => shared.pull(stage, 'key', store, workspace.directory) }),
        store,
        workspace,
        sandbox,
        ...(memory && { memory }),
        build: resolved.name,
        implementations: stageImplementations(resolved, { ...options, cacheDir: storePath(store, 'cache') }),
        // The packages tell, unless the caller does.
        sourceDateEpoch: readSourceDateEpoch(options.env ?? process.env) ?? 0,
      }),
    );
    if (shared) await shareResults(shared, plan, options.signal);
    return results;
  } catch (error) {
    throw await explainFullDisk(error, store);
  } finally {
    await memory?.close();
    await workspace.dispose();
  }
}

// Builds what a spec describes, or finds it in the store: the engine's front door.
import type { BundleContents } from '../bundle/types.ts';
import { InvalidInputError } from '../diagnostics/error.ts';
import type { Reporter } from '../diagnostics/progress.ts';
import { pipelineHash } from '../embedded/release.ts';
import type { CredentialOptions } from '../registry/credentials/types.ts';
import type { Entry } from '../store/entry.ts';
import { touchEntry } from '../store/gc.ts';
import { recordBuild } from '../store/history.ts';
import { storeDirectory } from '../store/location.ts';
import { fileNameOf, openStore, prepareStore, type Store, storePath } from '../store/store.ts';
import { createWorkspace, treeRemover } from '../store/workspace.ts';
import type { ResolvedBuild } from '../variables/types.ts';
import { withPinnedBase } from './base.ts';
import { readBundleEntry } from './bundle-entry.ts';
import { checkDisks } from './check-disks.ts';
import { readSourceDateEpoch } from './epoch.ts';
import { explainFullDisk } from './full-disk.ts';
import { findByRecipe, findEntry, findMissing } from './lookup.ts';
import { type PlannedStage, planStages } from './plan.ts';
import { publish } from './publish.ts';
import { withRepairs } from './repair.ts';
import { runStages } from './run.ts';
import { defineStages } from './stages.ts';
import { installedVersions } from './tool-versions.ts';

/** The surroundings of a build. */
export interface BuildOptions {
  /** What relative paths of the spec are relative to. */
  cwd: string;
  /** Directory of the store; default: see {@link storeDirectory}. */
  store?: string;
  env?: Readonly<Record<string, string | undefined>>;
  /** Credentials for registries beside those of the machine. */
  credentials?: CredentialOptions;
  report: Reporter;
  signal: AbortSignal;
}

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
  options: Pick<BuildOptions, 'cwd' | 'store' | 'env' | 'credentials'> & { signal?: AbortSignal },
): Promise<BuildPlan> {
  checkDisks(given);
  const resolved = await withPinnedBase(given, options);
  const env = options.env ?? process.env;
  const store = await openStore(storeDirectory(env, options));
  const sourceDateEpoch = readSourceDateEpoch(env);
  const definitions = defineStages(resolved, sourceDateEpoch === undefined ? {} : { sourceDateEpoch });
  const tools = await installedVersions(new Set(definitions.flatMap((definition) => definition.tools)));
  const stages = planStages(definitions, pipelineHash, tools);
  const targets = stages.filter(({ kind }) => kind === 'bundle' || kind === 'boot-test');
  return { store, stages, targets: targets.map(({ name }) => name) };
}

/**
 * Builds the bundle of a spec and puts it where the spec says. What the store has is not built again.
 * @throws ImageBuilderError of the stage that failed; nothing has been published then
 */
export async function build(given: ResolvedBuild, options: BuildOptions): Promise<BundleContents> {
  refuseIso(given);
  const resolved = await withPinnedBase(given, options);
  const { container } = resolved.executor;
  if (container)
    return await (await import('./in-container.ts')).buildInContainer(resolved, container, options);
  const plan = await planBuild(resolved, options);
  const entry = (await findFinished(plan, options)) ?? (await execute(resolved, plan, options));
  await touchEntry(entry);
  const { directory, manifest, artifacts, profiles } = readBundleEntry(entry);
  const finished = { directory, digest: manifest.digest, artifacts };
  const defaultLayout = storePath(plan.store, 'bundles', fileNameOf(resolved.name));
  const published = await publish(resolved, finished, { ...options, defaultLayout });
  return { ...published, profiles };
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
  return await runTargets(resolved, { ...(await planBuild(resolved, options)), targets }, options);
}

/** Builds those of the stages whose results the bundle still waits for: the part of a build that needs a network. */
export async function buildAhead(
  resolved: ResolvedBuild,
  names: readonly string[],
  options: BuildOptions,
): Promise<void> {
  const plan = await planBuild(resolved, options);
  const missing = await findMissing(plan.store, plan.stages, plan.targets, options.signal);
  const targets = missing.map(({ name }) => name).filter((name) => names.includes(name));
  if (targets.length > 0) await runTargets(resolved, { ...plan, targets }, options);
}

/** The bundle's entry, when it and the boot tests are there. */
async function findFinished(plan: BuildPlan, { report, signal }: BuildOptions): Promise<Entry | undefined> {
  const began = performance.now();
  let bundle: Entry | undefined;
  for (const stage of plan.stages.filter(({ name }) => plan.targets.includes(name))) {
    const entry =
      (await findEntry(plan.store, stage, signal)) ?? (await findWithoutTools(plan, stage, signal));
    if (!entry) return undefined;
    if (stage.kind === 'bundle') bundle = entry;
  }
  report({ type: 'stage', stage: 'bundle', status: 'cached', seconds: (performance.now() - began) / 1000 });
  return bundle;
}

/** Packages without which nothing can be built; others are needed by some builds only, or have several names. */
const INDISPENSABLE = ['mmdebstrap', 'ansible-core', 'e2fsprogs', 'qemu-utils'];

/** On a machine that could not build it: what another one has built of the same inputs. */
async function findWithoutTools(
  plan: BuildPlan,
  stage: PlannedStage,
  signal: AbortSignal,
): Promise<Entry | undefined> {
  const versions = Object.assign({}, ...plan.stages.map(({ toolVersions }) => toolVersions));
  const canBuild = INDISPENSABLE.every((tool) => versions[tool] !== 'absent');
  return canBuild ? undefined : await findByRecipe(plan.store, stage, signal);
}

/** Runs what is missing for the bundle, and notes it in the history. */
async function execute(resolved: ResolvedBuild, plan: BuildPlan, options: BuildOptions): Promise<Entry> {
  const { bundle } = await runTargets(resolved, plan, options);
  if (!bundle) throw new TypeError('the plan has no bundle');
  await recordBuild(plan.store, {
    name: resolved.name,
    builtAt: new Date().toISOString(),
    digest: readBundleEntry(bundle).manifest.digest,
    stages: Object.fromEntries(
      plan.stages.map(({ name, kind, key, inputs, toolVersions }) => [
        name,
        { kind, key, inputs, tools: toolVersions },
      ]),
    ),
  });
  return bundle;
}

/** Runs what is missing; returns the results of the plan's targets. */
async function runTargets(
  resolved: ResolvedBuild,
  plan: BuildPlan,
  options: BuildOptions,
): Promise<Record<string, Entry>> {
  const { store, stages, targets } = plan;
  const { requireTools } = await import('../executors/tools.ts');
  const { tasksOf, stageImplementations } = await import('./implementations.ts');
  requireTools(tasksOf(await findMissing(store, stages, targets, options.signal)));

  await prepareStore(store);
  const { createLocalSandbox } = await import('../executors/local-sandbox.ts');
  const sandbox = await createLocalSandbox();
  const removeTree = treeRemover(async (path) => {
    await sandbox.run(['rm', '-rf', '--', path]);
  });
  const workspace = await createWorkspace(store, removeTree);
  try {
    return await withRepairs(store, stages, workspace.directory, () =>
      runStages(stages, targets, {
        ...options,
        store,
        workspace,
        sandbox,
        build: resolved.name,
        implementations: stageImplementations(resolved, { ...options, cacheDir: storePath(store, 'cache') }),
        // The packages tell, unless the caller does.
        sourceDateEpoch: readSourceDateEpoch(options.env ?? process.env) ?? 0,
      }),
    );
  } catch (error) {
    throw await explainFullDisk(error, store);
  } finally {
    await workspace.dispose();
  }
}

// The shared store of a build: opened as policy, spec and environment say, asked for what is missing, and given what
// was built here.
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { invalidInput } from '../../base/diagnostics/error.ts';
import type { Env } from '../../base/env.ts';
import { findEntry } from '../../pipeline/lookup.ts';
import type { PlannedStage } from '../../pipeline/plan.ts';
import { explainNoPush } from '../../policy/push-rules.ts';
import type { ResolvedBuild } from '../../spec/variables/resolved.ts';
import type { Entry } from '../../store/entry.ts';
import { markShared, markUnshared } from '../../store/pending-push.ts';
import type { SharedStore } from '../../store/shared/shared-store.ts';
import { prepareStore, type Store } from '../../store/store.ts';
import { createWorkspace, treeRemover } from '../../store/workspace.ts';
import type { BuildOptions } from '../build-options.ts';
import { sharedRepository } from './repository.ts';

const SIGNING_KEY = 'IMAGE_BUILDER_SIGNING_KEY';

/** A registry that does not answer is not waited for by each render. Milliseconds. */
const PAUSE = 5 * 60_000;

/** What the shared store has to know of a stage. */
export type SharedStage = Pick<PlannedStage, 'name' | 'kind' | 'key' | 'recipe' | 'parents' | 'toolVersions'>;

/** What the shared store has to know of a build. */
export interface SharedPlan {
  store: Store;
  stages: readonly SharedStage[];
  /** Names of the stages whose results are wanted. */
  targets: readonly string[];
}

/** What the shared store needs of a build's surroundings. */
export type SharingOptions = Pick<BuildOptions, 'cwd' | 'policy' | 'credentials' | 'report' | 'signal'> & {
  env: NonNullable<BuildOptions['env']>;
  /** Whether a registry that fails is an error: nothing can be done without what it has. */
  isRequired?: boolean;
};

/**
 * The shared store; undefined when none is named.
 * @throws InvalidInputError for keys that are none
 */
export async function openShared(
  resolved: ResolvedBuild,
  options: SharingOptions,
): Promise<SharedStore | undefined> {
  const { env } = options;
  const repository = sharedRepository(resolved, env);
  if (!repository) return undefined;
  const [{ SharedStore: Shared }, signingKey] = await Promise.all([
    import('../../store/shared/shared-store.ts'),
    signingKeyOf(env, options.cwd),
  ]);
  const { sharingOf } = await import('./trusted-stores.ts');
  const sharing = sharingOf(resolved, repository, options.policy, env);
  const warn = (message: string) =>
    options.report({ type: 'step', stage: 'store', message: `warning: ${message}` });
  for (const refusal of sharing.refusals) warn(refusal);
  if (!('trust' in sharing)) return undefined;
  const wantsPush = resolved.store?.push ?? signingKey !== undefined;
  if (wantsPush && !sharing.mayPush) warn(explainNoPush(repository));
  return new Shared({
    repository,
    trust: sharing.trust,
    push: wantsPush && sharing.mayPush,
    isRequired: options.isRequired ?? false,
    ...(signingKey && { signingKey }),
    ...(options.credentials && { credentials: options.credentials }),
    environment: env,
    // A build does not wait long for what only saves time.
    limits: { connectTimeout: 5000, retries: 2 },
    report: options.report,
    signal: options.signal,
  });
}

async function signingKeyOf(env: Env, cwd: string) {
  const file = env[SIGNING_KEY];
  if (!file) return undefined;
  const { parsePrivateKey } = await import('../../store/shared/trust.ts');
  const key = parsePrivateKey(await readKeyFile(SIGNING_KEY, resolve(cwd, file)));
  if (key) return key;
  const message = `${file} contains no Ed25519 private key (openssl genpkey -algorithm ed25519)`;
  throw invalidInput(SIGNING_KEY, message);
}

async function readKeyFile(variable: string, file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw invalidInput(variable, `cannot be read: ${(cause as Error).message}`, { cause });
  }
}

/**
 * Gets the results that a build is about from the shared store, as far as they are missing: no tool is needed for that.
 * @param anyTools whether what other tools have made of the same inputs will do
 */
export async function fetchTargets(
  shared: SharedStore,
  plan: SharedPlan,
  anyTools: boolean,
  signal: AbortSignal,
): Promise<void> {
  await prepareStore(plan.store);
  const workspace = await createWorkspace(plan.store, treeRemover());
  try {
    for (const stage of plan.stages.filter(({ name }) => plan.targets.includes(name))) {
      if (await findEntry(plan.store, stage, signal)) continue;
      const found =
        (await shared.pull(stage, 'key', plan.store, workspace.directory)) ??
        (anyTools ? await shared.pull(stage, 'recipe', plan.store, workspace.directory) : undefined);
      // Without one of them the build goes on from what there is.
      if (!found) return;
    }
  } finally {
    await workspace.dispose();
  }
}

/** Gets what a build still waits for: its targets, or what they are made from, down to results that are here. */
export async function fetchMissing(
  shared: SharedStore,
  plan: SharedPlan,
  signal: AbortSignal,
): Promise<void> {
  const { store, targets } = plan;
  const byName = new Map(plan.stages.map((stage) => [stage.name, stage]));
  const workspace = await createWorkspace(store, treeRemover());
  const fetch = async (name: string): Promise<void> => {
    const stage = byName.get(name);
    byName.delete(name);
    if (!stage || (await findEntry(store, stage, signal))) return;
    if (await shared.pull(stage, 'key', store, workspace.directory)) return;
    for (const parent of stage.parents) await fetch(parent);
  };
  try {
    for (const target of targets) await fetch(target);
  } finally {
    await workspace.dispose();
  }
}

/**
 * Pushes all that the store has of a plan, parents first. What a registry that fails has missed is noted, for later
 * builds.
 * @param isRetry whether that has failed before: then a pause follows when it fails again
 */
export async function shareResults(
  shared: SharedStore,
  { store, stages }: SharedPlan,
  signal: AbortSignal,
  { isRetry = false } = {},
): Promise<void> {
  let isComplete = true;
  let bundle: Entry | undefined;
  for (const stage of stages) {
    const entry = await findEntry(store, stage, signal);
    if (!entry) continue;
    if (stage.kind === 'bundle') bundle = entry;
    if (!(await shared.push(entry))) isComplete = false;
  }
  if (bundle && isComplete) await markShared(bundle);
  else if (bundle) await markUnshared(bundle, new Date(Date.now() + (isRetry ? PAUSE : 0)));
}

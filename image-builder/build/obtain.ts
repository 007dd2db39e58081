// Obtains the bundle of a build: from the store, from the shared store, or by building now or later, as the spec says.

import { hashOf } from '../pipeline/keys.ts';
import { findByRecipe, findEntry } from '../pipeline/lookup.ts';
import type { PlannedStage } from '../pipeline/plan.ts';
import type { Entry } from '../store/entry.ts';
import { isPushDue } from '../store/pending-push.ts';
import { noteBuild } from './finished-bundle.ts';
import { requirePush } from './publish.ts';
import type { BuildSession } from './session.ts';
import type { SpecSource } from './spec-source.ts';

/**
 * The entry of the bundle; its boot tests have passed.
 * @param build builds what is missing; default: on this machine
 * @throws ImageBuilderError of the stage that failed, MissingResultError
 */
export async function obtainBundle(
  session: BuildSession,
  build: (session: BuildSession) => Promise<Entry> = buildHere,
): Promise<Entry> {
  const finished = await findFinished(session);
  if (finished && session.resolved.whenMissing === 'Build') await pushBelated(session, finished);
  return finished ?? (await fetchFinished(session)) ?? (await make(session, build));
}

/** The bundle's entry, when it and the boot tests are there. */
async function findFinished(session: BuildSession): Promise<Entry | undefined> {
  const { store, stages, targets, report, signal } = session;
  const began = performance.now();
  let bundle: Entry | undefined;
  const anyTools = takesAnyTools(session);
  for (const stage of stages.filter(({ name }) => targets.includes(name))) {
    const entry =
      (await findEntry(store, stage, signal)) ??
      (anyTools ? await findByRecipe(store, stage, signal) : undefined);
    if (!entry) return undefined;
    if (stage.kind === 'bundle') bundle = entry;
  }
  report({ type: 'stage', stage: 'bundle', status: 'cached', seconds: (performance.now() - began) / 1000 });
  return bundle;
}

/** Packages without which nothing can be built; others are needed by some builds only, or have several names. */
const INDISPENSABLE = ['mmdebstrap', 'ansible-core', 'e2fsprogs', 'qemu-utils'];

/**
 * Whether what other tools have made of the same inputs will do: where this machine's tools will never make anything,
 * because the spec says so, because a container has its own, or because they are not there.
 */
function takesAnyTools({
  resolved: { whenMissing, executor },
  stages,
  builder,
}: Pick<BuildSession, 'resolved' | 'stages' | 'builder'>): boolean {
  if (builder) return false;
  if (whenMissing === 'Fail' || executor.container || executor.kubernetes) return true;
  const versions = Object.assign({}, ...stages.map(({ toolVersions }) => toolVersions));
  return INDISPENSABLE.some((tool) => versions[tool] === 'absent');
}

/** Pushes what an earlier build could not; the code for that is loaded only when there is something to push. */
async function pushBelated(session: BuildSession, bundle: Entry): Promise<void> {
  if (!(await isPushDue(bundle))) return;
  const shared = await session.shared();
  if (!shared) return;
  const { shareResults } = await import('./shared/shared-results.ts');
  await shareResults(shared, session, session.signal, { isRetry: true });
}

/** Looks into the shared store, which costs only a few requests. */
async function fetchFinished(session: BuildSession): Promise<Entry | undefined> {
  const shared = await session.shared();
  if (!shared) return undefined;
  const { fetchTargets } = await import('./shared/shared-results.ts');
  await fetchTargets(shared, session, takesAnyTools(session), session.signal);
  return await findFinished(session);
}

/** Builds what is missing in the way that the spec asks for. */
async function make(session: BuildSession, build: (session: BuildSession) => Promise<Entry>): Promise<Entry> {
  const { resolved, policy } = session;
  if (resolved.whenMissing !== 'Fail') requirePush(resolved.bundle, policy);
  if (resolved.whenMissing === 'Build') return await build(session);
  const source = sourceOf(session);
  const id = wantedOf(session, ({ key }) => key);
  if (resolved.whenMissing === 'Fail')
    throw (await import('./missing-result-error.ts')).refuseToBuild(id, source);
  if (resolved.executor.kubernetes) {
    const { triggerInCluster } = await import('./kubernetes/trigger.ts');
    // Which tools there are nobody has asked yet.
    return await triggerInCluster(
      session,
      wantedOf(session, ({ recipe }) => recipe),
      source,
    );
  }
  return await buildInBackground(session, id, source);
}

/** Identity of the results that are wanted. */
function wantedOf({ stages, targets }: BuildSession, of: (stage: PlannedStage) => string): string {
  return hashOf(stages.filter(({ name }) => targets.includes(name)).map(of));
}

/** Builds on this machine and records that in the history. */
async function buildHere(session: BuildSession): Promise<Entry> {
  const { runTargets } = await import('./run-targets.ts');
  const { bundle } = await runTargets(session, session.targets);
  if (!bundle) throw new TypeError('the plan has no bundle');
  await noteBuild(session.store, session.resolved.name, bundle, session.stages);
  return bundle;
}

/** Leaves the build to a process that outlives this one. @throws MissingResultError: there is no result yet */
async function buildInBackground(session: BuildSession, id: string, source: SpecSource): Promise<Entry> {
  const { resolved, store, targets, cwd, policy, pinned, credentials, env, program, retry = false } = session;
  if (!resolved.executor.container)
    await (await import('./run-targets.ts')).requireToolsFor(session, targets);
  const { refuseInBackground, refuseInContainer, triggerBuild } = await import('./background/launch.ts');
  if (!program) throw new TypeError('the caller has no program for background builds');
  refuseInContainer(source);
  refuseInBackground(source, policy);
  const surroundings = {
    cwd,
    policy,
    store: store.directory,
    ...(pinned && { pinned }),
    ...(credentials && { credentials }),
  };
  const command = [...program, 'run-triggered'];
  return await triggerBuild({ id, resolved, store, surroundings, source, command, env, retry }, () =>
    findFinished(session),
  );
}

/** The command by which a person would ask for the same. */
function sourceOf({ resolved, file, store, env, namesStore }: BuildSession): SpecSource {
  return {
    name: resolved.name,
    ...(file !== undefined && { file }),
    // The variable may not be set in the person's shell.
    ...((namesStore || env.IMAGE_BUILDER_STORE) && { store: store.directory }),
  };
}

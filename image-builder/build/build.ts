// Builds what a spec describes, or finds it in the store: the engine's front door.
import { invalidInput } from '../base/diagnostics/error.ts';
import { localReference } from '../bundle/local-reference.ts';
import type { BundleContents } from '../bundle/model.ts';
import { findMissing } from '../pipeline/lookup.ts';
import type { ResolvedBuild } from '../spec/variables/resolved.ts';
import { withPinnedBase } from '../stages/bundle/base-image.ts';
import { readBundleEntry } from '../stages/bundle/bundle-entry.ts';
import { withPinnedImages } from '../stages/preload/pin-images.ts';
import type { Entry } from '../store/entry.ts';
import type { BuildOptions } from './build-options.ts';
import { publishEntry } from './finished-bundle.ts';
import { obtainBundle } from './obtain.ts';
import { requirePlaces, signingKeyFor } from './publish.ts';
import { type BuildSession, openSession, planBuild } from './session.ts';

/**
 * Builds the bundle of a spec and publishes it where the spec says. Results in the store are not built again; missing ones
 * are built only when `whenMissing` is `Build`.
 * @throws ImageBuilderError of the stage that failed, MissingResultError; nothing has been published then
 */
export async function build(given: ResolvedBuild, options: BuildOptions): Promise<BundleContents> {
  refuseIso(given);
  await requirePlaces(given.bundle, options);
  await signingKeyFor(given.bundle, options);
  const { container, kubernetes } = given.executor;
  if (container && given.whenMissing === 'Build') {
    const { buildInContainer } = await import('./container/executor.ts');
    const pinned = await withPinnedImages(await withPinnedBase(given, options), options);
    return await buildInContainer(pinned, container, options);
  }
  if (kubernetes && given.whenMissing === 'Build') {
    const { buildInKubernetes } = await import('./kubernetes/executor.ts');
    return await buildInKubernetes(given, kubernetes, options);
  }
  const session = await openSession(given, options);
  const entry = await obtainBundle(session);
  return await publishEntry(session.resolved, session.store, entry, options).catch((error) => {
    if (options.signal.aborted || !mayStay(session.resolved)) throw error;
    // No place was asked for, and this render cannot or must not write: the bundle stays in the store.
    const { directory, manifest, artifacts, profiles } = readBundleEntry(entry);
    return { reference: localReference('oci', directory, manifest.digest), artifacts, profiles };
  });
}

/** Whether a bundle is of use although it cannot be published. */
function mayStay({ whenMissing, bundle }: ResolvedBuild): boolean {
  const { layout, archive, repository } = bundle;
  return whenMissing === 'Fail' && layout === undefined && archive === undefined && repository === undefined;
}

/** An ISO carries cloud-init's passwords and keys, so it has no place in a bundle that is published. */
function refuseIso({ iso }: ResolvedBuild): void {
  if (iso === undefined) return;
  throw invalidInput(
    'spec.build.iso',
    'a bundle has no ISO; create it with image-builder iso, an IsoConfiguration or the builder container',
  );
}

/**
 * Makes sure that the store has the results of these stages, by name; nothing is published.
 * @throws InvalidInputError for a stage that the build does not have; ImageBuilderError of the stage that failed
 */
export async function buildStages(
  resolved: ResolvedBuild,
  targets: readonly string[],
  options: BuildOptions,
): Promise<Record<string, Entry>> {
  return await runStagesOf(await openSession(resolved, options), targets);
}

async function runStagesOf(
  session: BuildSession,
  targets: readonly string[],
): Promise<Record<string, Entry>> {
  for (const target of targets) session.stageOf(target);
  const { runTargets } = await import('./run-targets.ts');
  return await runTargets(session, targets);
}

/** Builds those of the stages that the bundle still lacks: the part of a build that needs a network. */
export async function buildAhead(
  resolved: ResolvedBuild,
  names: readonly string[],
  options: BuildOptions,
): Promise<void> {
  const session = await openSession(resolved, options);
  const targets = await missingOf(session, names, options.signal);
  if (targets.length > 0) await runStagesOf(session, targets);
}

/** Those of the stages that the bundle still lacks. */
export async function missingAhead(
  resolved: ResolvedBuild,
  names: readonly string[],
  options: BuildOptions,
): Promise<string[]> {
  return await missingOf(await planBuild(resolved, options), names, options.signal);
}

async function missingOf(
  { store, stages, targets }: Pick<BuildSession, 'store' | 'stages' | 'targets'>,
  names: readonly string[],
  signal: AbortSignal,
): Promise<string[]> {
  const missing = await findMissing(store, stages, targets, signal);
  return missing.map(({ name }) => name).filter((name) => names.includes(name));
}

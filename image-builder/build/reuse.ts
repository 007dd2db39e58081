// Builds on earlier results of the shared stages, whatever has changed since: the predecessor's skip switches. The keys
// of the later stages follow from the results that are actually used, so no result is mistaken for another.
import { ImageBuilderError } from '../base/diagnostics/error.ts';
import { findEntry } from '../pipeline/lookup.ts';
import type { PinnedStages } from '../pipeline/plan.ts';
import { inputsOf } from '../pipeline/recorded.ts';
import type { ResolvedBuild } from '../spec/variables/resolved.ts';
import type { ResolvedMultistrap } from '../spec/variables/resolved-multistrap.ts';
import type { ResolvedOsconfig } from '../spec/variables/resolved-osconfig.ts';
import type { OsconfigInputs } from '../stages/osconfig/osconfig-inputs.ts';
import type { RootfsInputs } from '../stages/rootfs/rootfs-inputs.ts';
import { readHistory } from '../store/build-history.ts';
import { type Entry, listEntries } from '../store/entry.ts';
import type { Store } from '../store/store.ts';

/** The stages whose earlier results can be used: those that all images of a build share. */
export type ReusableStage = 'rootfs' | 'osconfig';

/** There is no earlier result to reuse. */
export class ReuseError extends ImageBuilderError<'NOTHING_TO_REUSE'> {}

/** A build on earlier results. */
export interface ReusingBuild {
  /** With the variables that those results were made with: the profiles tell what is in the image. */
  resolved: ResolvedBuild;
  pinned: PinnedStages;
}

/**
 * The build with an earlier result in place of a shared stage.
 * @param stage `osconfig` includes the root file system it was made from
 * @throws ReuseError when the build has no earlier result of it
 */
export async function reuseResults(
  resolved: ResolvedBuild,
  stage: ReusableStage,
  store: Store,
): Promise<ReusingBuild> {
  const osconfig = stage === 'osconfig' ? await newestResult(store, resolved.name, 'osconfig') : undefined;
  const rootfs = osconfig
    ? await findEntry(store, { kind: 'rootfs', key: osconfig.parents.rootfs ?? '' })
    : await newestResult(store, resolved.name, 'rootfs');
  const pinned: PinnedStages = {};
  for (const entry of [rootfs, osconfig]) {
    if (entry) {
      const { key, recipe, inputs, tools } = entry;
      pinned[entry.kind] = { key, recipe, inputs, toolVersions: tools };
    }
  }
  return { resolved: withVariablesOf(resolved, rootfs, osconfig), pinned };
}

/** The newest undamaged result of a stage that a build of this name has made or used. */
async function newestResult(store: Store, build: string, stage: ReusableStage): Promise<Entry> {
  const used = (await readHistory(store, build)).flatMap(({ builtAt, stages }) => {
    const id = stages[stage];
    return id ? [{ at: builtAt, id: { kind: id.kind, key: id.key } }] : [];
  });
  // A build that failed later on is in no history, but its finished stages are in the store.
  const made = (await listEntries(store))
    .filter((entry) => entry.build === build && entry.stage === stage)
    .map((entry) => ({ at: entry.createdAt, id: { kind: entry.kind, key: entry.key } }));
  const newestFirst = [...used, ...made].sort((a, b) => (a.at < b.at ? 1 : -1));
  for (const { id } of newestFirst) {
    const entry = await findEntry(store, id);
    if (entry) return entry;
  }
  throw new ReuseError(
    'NOTHING_TO_REUSE',
    `${build} has no earlier result of the stage ${stage} in ${store.directory}`,
    {
      hint: `build once without --reuse ${stage}`,
    },
  );
}

function withVariablesOf(
  resolved: ResolvedBuild,
  rootfs: Entry | undefined,
  osconfig: Entry | undefined,
): ResolvedBuild {
  const base = rootfs && inputsOf<RootfsInputs>('rootfs', rootfs);
  const common = osconfig && inputsOf<OsconfigInputs>('osconfig', osconfig);
  // Packages that are already installed do not concern the lock file.
  const { lock, ...unlocked } = resolved;
  return {
    ...unlocked,
    ...(lock && !base && { lock }),
    ...(base && { distribution: base.distribution }),
    rootfs: {
      ...resolved.rootfs,
      ...(base && {
        multistrap: {
          ...resolved.rootfs.multistrap,
          ...base.multistrap,
          debconf: answersOf(base.multistrap),
        },
      }),
      ...(common && { osconfig: withCommonItems(resolved.rootfs.osconfig, common.osconfig) }),
    },
  };
}

/** Secret answers are not kept; they are in no profile either. */
const answersOf = ({ debconf }: RootfsInputs['multistrap']): ResolvedMultistrap['debconf'] =>
  debconf.map(({ package: name, question, type, ...answer }) => ({
    package: name,
    question,
    type,
    value: 'value' in answer ? answer.value : '',
  }));

/** The variables of an earlier result, with the items that only act in the QCOWs as they are now. */
function withCommonItems(now: ResolvedOsconfig, before: ResolvedOsconfig): ResolvedOsconfig {
  const merged = Object.entries({ ...now, ...before }).map(([name, value]) => {
    const current: unknown = now[name as keyof ResolvedOsconfig];
    if (!Array.isArray(value) || !Array.isArray(current)) return [name, value];
    const onlyInQcows = current.filter(
      (item) => Array.isArray(item.run_contexts) && !item.run_contexts.includes('common'),
    );
    return [name, [...value, ...onlyInQcows]];
  });
  return Object.fromEntries(merged);
}

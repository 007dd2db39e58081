// Explains a plan: which stages are in the store, and what changed since the last build for those that are not.

import { type Change, changesBetween } from '../pipeline/input-changes.ts';
import { findEntry } from '../pipeline/lookup.ts';
import { type BuildRecord, readHistory } from '../store/build-history.ts';
import type { BuildPlan } from './session.ts';

/** A stage of the plan as `image-builder plan` shows it. */
export interface ExplainedStage {
  stage: string;
  kind: string;
  key: string;
  recipe: string;
  cached: boolean;
  /** Only when it is not cached and there is an earlier build. */
  reasons?: Reasons;
}

/** Why the key of a stage is not that of an earlier build. */
export interface Reasons {
  /** The changes that enter at this stage, without those reported for its ancestors. */
  changes: Change[];
  /** Parents whose keys have changed, which changes this key too. */
  follows: string[];
}

/** What {@link explainChanges} needs of a stage, planned or recorded. */
export interface ComparedStage {
  name: string;
  key: string;
  parents: readonly string[];
  inputs: unknown;
  tools: Readonly<Record<string, string>>;
}

/** Looks every stage up; compares those that are missing with the newest build of the same name. */
export async function explainPlan(name: string, plan: BuildPlan): Promise<ExplainedStage[]> {
  const [previous] = await readHistory(plan.store, name, 1);
  const reasons = previous && explainChanges(previous.stages, plan.stages.map(toCompared));
  return await Promise.all(
    plan.stages.map(async (stage) => {
      const cached = (await findEntry(plan.store, stage)) !== undefined;
      const { kind, key, recipe } = stage;
      const why = cached ? undefined : reasons?.get(stage.name);
      return { stage: stage.name, kind, key, recipe, cached, ...(why && { reasons: why }) };
    }),
  );
}

/**
 * Explains why the keys of stages have changed. A variable of the root file system is an input of the bundle too, for its
 * profile: such a change is reported once, at the first stage that it reaches.
 * @param stages parents come before their children
 */
export function explainChanges(
  before: BuildRecord['stages'],
  stages: readonly ComparedStage[],
): Map<string, Reasons> {
  const explained = new Map<string, Reasons>();
  /** All changes that a stage and its ancestors have told. */
  const told = new Map<string, Change[]>();
  for (const stage of stages) {
    const inherited = stage.parents.flatMap((parent) => told.get(parent) ?? []);
    const earlier = before[stage.name];
    if (earlier?.key === stage.key) continue;
    const own = earlier
      ? [
          ...changesBetween(earlier.inputs, toPlainData(stage.inputs)),
          ...changesBetween(earlier.tools, stage.tools, 'tools'),
        ]
      : [{ path: 'stage', after: stage.name }];
    const changes = own.filter((change) => !inherited.some((known) => isSameChange(known, change)));
    told.set(stage.name, [...inherited, ...changes]);
    explained.set(stage.name, {
      changes,
      follows: stage.parents.filter((parent) => explained.has(parent)),
    });
  }
  return explained;
}

/** The same change of the same variable, which is deeper among the inputs of a later stage. */
function isSameChange(known: Change, change: Change): boolean {
  const isSamePath = change.path === known.path || change.path.endsWith(`.${known.path}`);
  return (
    isSamePath &&
    JSON.stringify([known.before, known.after]) === JSON.stringify([change.before, change.after])
  );
}

function toCompared({
  name,
  key,
  parents,
  inputs,
  toolVersions,
}: BuildPlan['stages'][number]): ComparedStage {
  return { name, key, parents, inputs, tools: toolVersions };
}

/** The inputs as the history keeps them: without fields that have no value. */
function toPlainData(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

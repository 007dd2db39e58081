// Explains a plan: which stages are in the store, and what changed since the last build for those that are not.
import { type BuildRecord, readHistory } from '../store/history.ts';
import type { BuildPlan } from './build.ts';
import { type Change, changesBetween } from './changes.ts';
import { findEntry } from './lookup.ts';
import type { PlannedStage } from './plan.ts';

/** A stage of the plan as `image-builder plan` shows it. */
export interface ExplainedStage {
  stage: string;
  kind: string;
  key: string;
  recipe: string;
  cached: boolean;
  /** Only when it is not cached: why it is not the newest earlier build's. */
  changes?: Change[];
}

/** Looks every stage up; compares those that are missing with the newest build of the same name. */
export async function explainPlan(name: string, plan: BuildPlan): Promise<ExplainedStage[]> {
  const [previous] = await readHistory(plan.store, name, 1);
  return await Promise.all(
    plan.stages.map(async (stage) => {
      const cached = (await findEntry(plan.store, stage)) !== undefined;
      const { kind, key, recipe } = stage;
      const explained = { stage: stage.name, kind, key, recipe, cached };
      return cached || !previous ? explained : { ...explained, changes: changesOf(stage, previous) };
    }),
  );
}

function changesOf(stage: PlannedStage, previous: BuildRecord): Change[] {
  const before = previous.stages[stage.name];
  if (!before) return [{ path: 'stage', after: stage.name }];
  if (before.key === stage.key) return [];
  const own = [
    ...changesBetween(before.inputs, toPlainData(stage.inputs)),
    ...changesBetween(before.tools, stage.toolVersions, 'tools'),
  ];
  const parents = stage.parents.map((name) => ({ path: `stage ${name}` }));
  return own.length > 0 ? own : parents;
}

/** As the history has it: fields without a value are not there. */
function toPlainData(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

// Finds finished results in the store without a lock, a tool or a write: what a render does when nothing has changed.
import { checkEntry, type Entry, type EntryId, keysOfRecipe, readEntry } from '../store/entry.ts';
import { CorruptEntryError } from '../store/errors.ts';
import type { Store } from '../store/store.ts';
import type { PlannedStage } from './plan.ts';

/**
 * The undamaged entry of a stage that this build believes. Damaged ones, and those of others, count as missing: whoever
 * builds next replaces them.
 */
export async function findEntry(store: Store, id: EntryId, signal?: AbortSignal): Promise<Entry | undefined> {
  try {
    const entry = await readEntry(store, id);
    if (!entry?.origin || !store.believes(entry.origin)) return undefined;
    await checkEntry(entry, 'quick', signal);
    return entry;
  } catch (error) {
    if (error instanceof CorruptEntryError) return undefined;
    throw error;
  }
}

/**
 * The newest entry of a stage's recipe, whatever tools made it: for a machine that lacks the tools, where no key can
 * be computed and nothing be built.
 */
export async function findByRecipe(
  store: Store,
  stage: PlannedStage,
  signal?: AbortSignal,
): Promise<Entry | undefined> {
  for (const key of await keysOfRecipe(store, stage.kind, stage.recipe)) {
    const entry = await findEntry(store, { kind: stage.kind, key }, signal);
    // The pointer is believed by nobody, and a key says nothing about the recipe.
    if (entry?.recipe === stage.recipe) return entry;
  }
  return undefined;
}

/** Stages that have to run before the store has the results of `targets`, in the order of the plan. */
export async function findMissing<Stage extends EntryId & Pick<PlannedStage, 'name' | 'parents'>>(
  store: Store,
  plan: readonly Stage[],
  targets: readonly string[],
  signal?: AbortSignal,
): Promise<Stage[]> {
  const byName = new Map(plan.map((stage) => [stage.name, stage]));
  const missing = new Set<Stage>();
  const visit = async (name: string): Promise<void> => {
    const stage = byName.get(name);
    if (!stage || missing.has(stage) || (await findEntry(store, stage, signal))) return;
    missing.add(stage);
    for (const parent of stage.parents) await visit(parent);
  };
  for (const target of targets) await visit(target);
  return plan.filter((stage) => missing.has(stage));
}

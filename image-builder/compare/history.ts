// The earlier builds of a name, and what has changed from each to the next.
import { explainChanges, type Reasons } from '../build/explain.ts';
import { type BuildRecord, readHistory } from '../store/build-history.ts';
import type { Store } from '../store/store.ts';

/** A build of a name. */
export interface HistoryStep {
  /** ISO 8601. */
  builtAt: string;
  /** Digest of the bundle. */
  digest: string;
  /** Key of the bundle in the store, for `image-builder diff`. */
  key?: string;
  /** Why its stages differ from those of the build before, by stage; absent for the oldest one that is known. */
  changes?: Record<string, Reasons>;
}

/**
 * The builds of a name, newest first. Only what was built is noted: a render that finds its result leaves no trace.
 * @param limit how many at most
 */
export async function historyOf(store: Store, name: string, limit: number): Promise<HistoryStep[]> {
  // One more, to tell what the last one of them has changed.
  const records = await readHistory(store, name, limit + 1);
  return records.slice(0, limit).map((record, index) => {
    const { builtAt, digest } = record;
    const before = records[index + 1];
    const key = record.stages.bundle?.key;
    return {
      builtAt,
      digest,
      ...(key !== undefined && { key }),
      ...(before && { changes: changesOf(record, before) }),
    };
  });
}

function changesOf(record: BuildRecord, before: BuildRecord): Record<string, Reasons> {
  const names = Object.keys(record.stages);
  const stages = Object.entries(record.stages).map(([name, { key, inputs, tools, parents }]) => ({
    name,
    key,
    inputs,
    tools,
    // Records of earlier releases do not tell; then whatever comes before may be an ancestor.
    parents: parents ?? names.slice(0, names.indexOf(name)),
  }));
  const removed = Object.keys(before.stages).filter((name) => !record.stages[name]);
  return {
    ...Object.fromEntries(explainChanges(before.stages, stages)),
    ...Object.fromEntries(
      removed.map((name) => [name, { changes: [{ path: 'stage', before: name }], follows: [] }]),
    ),
  };
}

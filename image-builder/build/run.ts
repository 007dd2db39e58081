// Runs the stages of a plan that the store does not have: parents first, side by side where they can be, each once
// even when several processes want it.

import { availableParallelism } from 'node:os';
import { ImageBuilderError } from '../diagnostics/error.ts';
import type { ProgressEvent, Reporter } from '../diagnostics/progress.ts';
import type { Memory } from '../executors/memory.ts';
import type { Sandbox } from '../executors/sandbox.ts';
import type { StageContext } from '../executors/stage.ts';
import { acquireLock, type Lock } from '../locking/lock.ts';
import { checkEntry, commitEntry, type Entry, entryName, removeEntry } from '../store/entry.ts';
import { touchEntry } from '../store/gc.ts';
import { type Store, storePath } from '../store/store.ts';
import type { Workspace } from '../store/workspace.ts';
import { findEntry } from './lookup.ts';
import { makePlace, type Place, type Tree } from './place.ts';
import type { PlannedStage } from './plan.ts';
import { createSlots, type Slots } from './slots.ts';
import { openStageLog } from './stage-log.ts';

/** A stage about to run. */
export interface StageRun {
  stage: PlannedStage;
  /** The results of its parents, verified, by stage name. */
  parents: Readonly<Record<string, Entry>>;
  /**
   * The unpacked tree that the parent has left behind; it is the stage's own now. Absent when the parent came out of
   * the store, or another stage was first.
   */
  tree?: string;
  context: StageContext;
}

/** What a stage has done, beside the files in its output directory. */
export interface StageOutcome {
  /** Plain data for later stages and for the caller. `sourceDateEpoch` replaces the one that the stage was given. */
  facts?: Readonly<Record<string, unknown>>;
  /** SHA-256 of output files that the stage has computed on the way, by path. */
  digests?: Readonly<Record<string, string>>;
  /** An unpacked tree of what it has packed, for one of the stages after it. */
  tree?: string;
}

/** Does the work of one kind of stage. */
export type StageImplementation = (run: StageRun) => Promise<StageOutcome>;

/** The surroundings of all stages. */
export interface RunOptions {
  store: Store;
  workspace: Workspace;
  sandbox: Sandbox;
  /** Where stages may keep trees; its sandbox is used instead then. */
  memory?: Memory;
  /** Name of the build, noted in the entries. */
  build: string;
  implementations: Readonly<Record<string, StageImplementation>>;
  /** Time stamp for a stage without parents, which may find a better one; the others inherit it. Seconds. */
  sourceDateEpoch: number;
  report: Reporter;
  signal: AbortSignal;
  /** Gets a stage's result from elsewhere into the store; undefined when there is none. */
  fetch?: (stage: PlannedStage) => Promise<Entry | undefined>;
  /** How many stages run at the same time; default: one per processor. */
  concurrency?: number;
}

/**
 * Makes sure that the store has the results of `targets`.
 * @returns their entries by stage name
 * @throws CorruptEntryError when the result of a parent turned out to be damaged: drop it and run again
 */
export async function runStages(
  plan: readonly PlannedStage[],
  targets: readonly string[],
  options: RunOptions,
): Promise<Record<string, Entry>> {
  // One failure stops the others: their results would be thrown away.
  const failed = new AbortController();
  const signal = AbortSignal.any([options.signal, failed.signal]);
  const runner = new Runner(plan, { ...options, signal });
  const results = await Promise.allSettled(
    targets.map((target) =>
      runner.ensure(target).catch((error) => {
        failed.abort(error);
        throw error;
      }),
    ),
  );
  await runner.settle();
  options.signal.throwIfAborted();
  if (failed.signal.aborted) throw failed.signal.reason;
  return Object.fromEntries(
    results.map((result, index) => [targets[index], (result as PromiseFulfilledResult<Entry>).value]),
  );
}

/** A tree that waits for the stage that goes on with it, and the lock that keeps others from starting without it. */
interface LeftTree extends Tree {
  lock: Lock;
}

class Runner {
  readonly #plan: ReadonlyMap<string, PlannedStage>;
  readonly #options: RunOptions;
  readonly #slots: Slots;
  readonly #ensured = new Map<string, Promise<Entry>>();
  readonly #verified = new Map<string, Promise<void>>();
  readonly #trees = new Map<string, LeftTree>();
  /** Directories that are going while other stages run. */
  readonly #removals: Promise<void>[] = [];

  constructor(plan: readonly PlannedStage[], options: RunOptions) {
    this.#plan = new Map(plan.map((stage) => [stage.name, stage]));
    this.#options = options;
    this.#slots = createSlots(options.concurrency ?? availableParallelism());
  }

  /** The entry of a stage, out of the store or made now. */
  ensure(name: string): Promise<Entry> {
    const known = this.#ensured.get(name);
    if (known) return known;
    const stage = this.#plan.get(name);
    if (!stage) throw new TypeError(`the plan has no stage ${name}`);
    const ensured = this.#obtain(stage);
    this.#ensured.set(name, ensured);
    return ensured;
  }

  /** Waits for everything that was begun and frees what is still held. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.#ensured.values());
    for (const name of [...this.#trees.keys()]) {
      const tree = await this.#takeTree(name);
      if (tree) this.#discard(tree.place);
    }
    // What could not be removed is tried again with the whole work directory.
    await Promise.all(this.#removals);
  }

  async #obtain(stage: PlannedStage): Promise<Entry> {
    const began = performance.now();
    const { signal, report } = this.#options;
    const cached = (entry: Entry): Entry => {
      report({ type: 'stage', stage: stage.name, status: 'cached', seconds: secondsSince(began) });
      return entry;
    };
    const found = await this.#usable(stage);
    if (found) return cached(found);

    const fetched = await this.#fetch(stage);
    if (fetched) return cached(fetched);

    const parents = await this.#ensureAll(stage.parents);
    const lock = await this.#lock(stage);
    let kept = false;
    try {
      const appeared = await this.#usable(stage, { drop: true });
      if (appeared) return cached(appeared);
      return await this.#slots.run(async () => {
        signal.throwIfAborted();
        const { entry, tree } = await this.#build(stage, parents, lock);
        if (tree) {
          this.#trees.set(stage.name, { ...tree, lock });
          kept = true;
        }
        return entry;
      });
    } finally {
      if (!kept) await lock.release();
    }
  }

  /** From elsewhere, by one of the processes that want it. */
  async #fetch(stage: PlannedStage): Promise<Entry | undefined> {
    const { fetch } = this.#options;
    if (!fetch) return undefined;
    const lock = await this.#lock(stage);
    try {
      return (await this.#usable(stage, { drop: true })) ?? (await fetch(stage));
    } finally {
      await lock.release();
    }
  }

  async #ensureAll(names: readonly string[]): Promise<Record<string, Entry>> {
    const entries = await Promise.all(names.map(async (name) => [name, await this.ensure(name)] as const));
    return Object.fromEntries(entries);
  }

  /** The entry if the store has it undamaged. */
  async #usable(stage: PlannedStage, { drop = false } = {}): Promise<Entry | undefined> {
    const { store, signal, workspace } = this.#options;
    await touchEntry(store, stage);
    const entry = await findEntry(store, stage, signal);
    // Only under the lock: without it, somebody may have put a good one there meanwhile.
    if (!entry && drop) await removeEntry(store, entryName(stage), workspace.directory);
    return entry;
  }

  async #lock(stage: PlannedStage): Promise<Lock> {
    const { store, signal, report } = this.#options;
    return await acquireLock(storePath(store, 'locks', entryName(stage)), {
      signal,
      onWait: () => report({ type: 'stage', stage: stage.name, status: 'waiting' }),
      onNote: (line) => {
        const event = parseNote(line, stage.name);
        if (event) report(event);
      },
    });
  }

  async #build(
    stage: PlannedStage,
    parents: Readonly<Record<string, Entry>>,
    lock: Lock,
  ): Promise<{ entry: Entry; tree?: Tree }> {
    const { store, sandbox, memory, signal } = this.#options;
    const began = performance.now();
    const log = await openStageLog(storePath(store, 'logs', `${entryName(stage)}.log`));
    const report: Reporter = (event) => {
      log.write(event);
      if (event.type === 'step') void lock.note(JSON.stringify(event)).catch(() => {});
      this.#options.report(event);
    };
    this.#options.report({ type: 'stage', stage: stage.name, status: 'started' });
    const surroundings = {
      stage: stage.name,
      sandbox: memory?.sandbox ?? sandbox,
      signal,
      sourceDateEpoch: this.#epoch(parents),
      report,
    };
    try {
      const { place, outcome } = await this.#perform(stage, parents, surroundings);
      try {
        const provenance = this.#provenance(stage, outcome, surroundings);
        const entry = await commitEntry(store, provenance, place.outputDir, {
          seconds: secondsSince(began),
          signal,
          ...(outcome.digests && { known: outcome.digests }),
        });
        this.#verified.set(entryName(entry), Promise.resolve());
        this.#options.report({
          type: 'stage',
          stage: stage.name,
          status: 'finished',
          seconds: secondsSince(began),
        });
        if (outcome.tree === undefined) this.#discard(place);
        return { entry, ...(outcome.tree && { tree: { path: outcome.tree, place } }) };
      } catch (error) {
        this.#discard(place);
        throw error;
      }
    } catch (error) {
      if (error instanceof ImageBuilderError && !signal.aborted) error.log = log.path;
      this.#options.report({
        type: 'stage',
        stage: stage.name,
        status: 'failed',
        seconds: secondsSince(began),
      });
      throw error;
    } finally {
      await log.close();
    }
  }

  /** Runs the implementation while the parents are read once more: it is fine to begin with what is most likely good. */
  async #perform(
    stage: PlannedStage,
    parents: Readonly<Record<string, Entry>>,
    surroundings: Omit<StageContext, 'workDir' | 'outputDir'>,
  ): Promise<{ place: Place; outcome: StageOutcome }> {
    const verified = Promise.all(Object.values(parents).map((parent) => this.#verify(parent)));
    const [performed, verdict] = await Promise.allSettled([
      this.#implement(stage, parents, surroundings),
      verified,
    ]);
    if (performed.status === 'fulfilled' && verdict.status === 'fulfilled' && !surroundings.signal.aborted)
      return performed.value;
    if (performed.status === 'fulfilled') this.#discard(performed.value.place);
    // A damaged parent is the reason for whatever went wrong after it.
    if (verdict.status === 'rejected') throw verdict.reason;
    surroundings.signal.throwIfAborted();
    throw (performed as PromiseRejectedResult).reason;
  }

  /** Runs the implementation with its trees in memory, and again on the disk if they do not fit. */
  async #implement(
    stage: PlannedStage,
    parents: Readonly<Record<string, Entry>>,
    surroundings: Omit<StageContext, 'workDir' | 'outputDir'>,
  ): Promise<{ place: Place; outcome: StageOutcome }> {
    const implementation = this.#options.implementations[stage.kind];
    if (!implementation) throw new TypeError(`nothing implements ${stage.kind}`);
    const attempt = async (
      memory?: Memory,
      tree?: Tree,
    ): Promise<{ place: Place; outcome: StageOutcome }> => {
      const place = await makePlace(stage.name, this.#options.workspace, memory, tree);
      try {
        const { remove: _, ...directories } = place;
        const context = { ...surroundings, ...directories };
        const outcome = await implementation({ stage, parents, ...(tree && { tree: tree.path }), context });
        return { place, outcome };
      } catch (error) {
        const again = !surroundings.signal.aborted && (await memory?.explains(error));
        this.#discard(place);
        if (!again) throw error;
        const message = 'there is not enough memory: once more on the disk';
        surroundings.report({ type: 'step', stage: stage.name, message });
        return await attempt();
      }
    };
    return await attempt(this.#options.memory, await this.#takeTree(stage.parents[0]));
  }

  /** Begins to remove what a stage has worked in. */
  #discard(place: Place): void {
    this.#removals.push(place.remove());
  }

  #provenance(stage: PlannedStage, outcome: StageOutcome, context: Pick<StageContext, 'sourceDateEpoch'>) {
    return {
      kind: stage.kind,
      key: stage.key,
      recipe: stage.recipe,
      stage: stage.name,
      build: this.#options.build,
      tools: stage.toolVersions,
      parents: Object.fromEntries(stage.parents.map((name) => [name, this.#plan.get(name)?.key ?? ''])),
      inputs: stage.inputs,
      facts: { sourceDateEpoch: context.sourceDateEpoch, ...outcome.facts },
    };
  }

  /** Reads every byte of a parent that was not made just now, once: what is built from it will be believed. */
  #verify(entry: Entry): Promise<void> {
    const name = entryName(entry);
    const known = this.#verified.get(name);
    if (known) return known;
    const verified = checkEntry(entry, 'full', this.#options.signal);
    this.#verified.set(name, verified);
    return verified;
  }

  #epoch(parents: Readonly<Record<string, Entry>>): number {
    const inherited = Object.values(parents).map((parent) => Number(parent.facts.sourceDateEpoch));
    return inherited.length > 0 ? Math.max(...inherited) : this.#options.sourceDateEpoch;
  }

  /** Whoever asks first gets the tree that a stage has left; its lock has served its purpose then. */
  async #takeTree(name: string | undefined): Promise<Tree | undefined> {
    const left = name === undefined ? undefined : this.#trees.get(name);
    if (!left || name === undefined) return undefined;
    this.#trees.delete(name);
    await left.lock.release();
    return left;
  }
}

/** What another process has noted about the stage that this one waits for. */
function parseNote(line: string, stage: string): ProgressEvent | undefined {
  try {
    const event: ProgressEvent = JSON.parse(line);
    return event.type === 'step' ? { type: 'step', stage, message: String(event.message) } : undefined;
  } catch {
    return undefined;
  }
}

function secondsSince(began: number): number {
  return (performance.now() - began) / 1000;
}

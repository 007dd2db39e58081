// Runs the stages of a plan that the store does not have: parents first, side by side where they can be, each once
// even when several processes want it.
import { availableParallelism } from 'node:os';
import { throwIfCancelled } from '../base/diagnostics/cancelled.ts';
import type { ProgressEvent } from '../base/diagnostics/progress.ts';
import { acquireLock, type Lock } from '../base/locking/file-lock.ts';
import { type Entry, entryName, removeEntry } from '../store/entry.ts';
import { touchEntry } from '../store/gc.ts';
import { storePath } from '../store/store.ts';
import { findEntry } from './lookup.ts';
import type { PlannedStage } from './plan.ts';
import { createSlots, type Slots } from './semaphore.ts';
import type { Tree } from './stage-directories.ts';
import { Performer, type PerformOptions, secondsSince } from './stage-runner.ts';

/** The surroundings of all stages. */
export interface RunOptions extends PerformOptions {
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
  throwIfCancelled(options.signal);
  if (failed.signal.aborted) throw failed.signal.reason;
  return Object.fromEntries(
    results.map((result, index) => [targets[index], (result as PromiseFulfilledResult<Entry>).value]),
  );
}

/** Trees that wait for the stages that go on with them, and the lock that keeps others from starting without them. */
interface LeftTrees {
  trees: Tree[];
  lock: Lock;
}

class Runner {
  readonly #plan: ReadonlyMap<string, PlannedStage>;
  readonly #options: RunOptions;
  readonly #performer: Performer;
  readonly #concurrency: number;
  readonly #slots: Slots;
  readonly #ensured = new Map<string, Promise<Entry>>();
  readonly #left = new Map<string, LeftTrees>();
  /** How many stages wait for the tree of another, by its name. */
  readonly #waiting = new Map<string, number>();

  constructor(plan: readonly PlannedStage[], options: RunOptions) {
    this.#plan = new Map(plan.map((stage) => [stage.name, stage]));
    this.#options = options;
    this.#performer = new Performer(this.#plan, options);
    this.#concurrency = options.concurrency ?? availableParallelism();
    this.#slots = createSlots(this.#concurrency);
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
    for (const name of this.#left.keys()) {
      for (let tree = await this.#takeTree(name); tree; tree = await this.#takeTree(name))
        this.#performer.discard(tree);
    }
    await this.#performer.settle();
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

    const from = stage.treeOf;
    if (from !== undefined) this.#waiting.set(from, (this.#waiting.get(from) ?? 0) + 1);
    const parents = await this.#ensureAll(stage.parents);
    const lock = await this.#lock(stage);
    let kept = false;
    try {
      const appeared = await this.#usable(stage, { drop: true });
      if (appeared) return cached(appeared);
      return await this.#slots.run(async () => {
        throwIfCancelled(signal);
        const { entry, trees } = await this.#performer.perform(stage, parents, lock, {
          take: () => this.#takeTree(from),
          wanted: () => Math.min(this.#waiting.get(stage.name) ?? 0, this.#concurrency),
        });
        if (trees.length > 0) {
          this.#left.set(stage.name, { trees, lock });
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

  /** A tree that a stage has left, for whoever asks first; its lock has served its purpose when there is none left. */
  async #takeTree(name: string | undefined): Promise<Tree | undefined> {
    const left = name === undefined ? undefined : this.#left.get(name);
    if (!left || name === undefined) return undefined;
    const tree = left.trees.shift();
    if (left.trees.length === 0) {
      this.#left.delete(name);
      await left.lock.release();
    }
    return tree;
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

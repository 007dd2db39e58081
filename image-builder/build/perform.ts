// Runs one stage that the store does not have, and puts its result there.
import { ImageBuilderError } from '../diagnostics/error.ts';
import type { Reporter } from '../diagnostics/progress.ts';
import type { Memory } from '../executors/memory.ts';
import type { Sandbox } from '../executors/sandbox.ts';
import type { StageContext } from '../executors/stage.ts';
import type { Lock } from '../locking/lock.ts';
import { checkEntry, commitEntry, type Entry, entryName } from '../store/entry.ts';
import { type Store, storePath } from '../store/store.ts';
import type { Workspace } from '../store/workspace.ts';
import { makePlace, type Place, type Tree } from './place.ts';
import type { PlannedStage } from './plan.ts';
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

/** The surroundings of a stage. */
export interface PerformOptions {
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
}

type TakeTree = () => Promise<Tree | undefined>;

/** What an implementation has done, and where its results lie until they are committed. */
interface Performed {
  place: Place;
  outcome: StageOutcome;
}

/** Runs the stages of one plan. */
export class Performer {
  readonly #plan: ReadonlyMap<string, PlannedStage>;
  readonly #options: PerformOptions;
  readonly #verified = new Map<string, Promise<void>>();
  readonly #removals: Promise<void>[] = [];

  constructor(plan: ReadonlyMap<string, PlannedStage>, options: PerformOptions) {
    this.#plan = plan;
    this.#options = options;
  }

  /** Waits until everything is removed; what cannot be is tried again with the whole work directory. */
  async settle(): Promise<void> {
    await Promise.all(this.#removals);
  }

  /**
   * Runs a stage and puts its result into the store.
   * @param lock the stage's own; who waits for it sees the steps
   * @param takeTree gives the unpacked tree of its first parent, if that is there
   * @throws whatever the implementation throws, with the path of the stage's log
   */
  async perform(
    stage: PlannedStage,
    parents: Readonly<Record<string, Entry>>,
    lock: Lock,
    takeTree: TakeTree,
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
      const { place, outcome } = await this.#attempt(stage, parents, surroundings, takeTree);
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
        if (outcome.tree === undefined) this.discard(place);
        return { entry, ...(outcome.tree && { tree: { path: outcome.tree, place } }) };
      } catch (error) {
        this.discard(place);
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
  async #attempt(
    stage: PlannedStage,
    parents: Readonly<Record<string, Entry>>,
    surroundings: Omit<StageContext, 'workDir' | 'outputDir'>,
    takeTree: TakeTree,
  ): Promise<Performed> {
    const verified = Promise.all(Object.values(parents).map((parent) => this.#verify(parent)));
    const [performed, verdict] = await Promise.allSettled([
      this.#implement(stage, parents, surroundings, takeTree),
      verified,
    ]);
    if (performed.status === 'fulfilled' && verdict.status === 'fulfilled' && !surroundings.signal.aborted)
      return performed.value;
    if (performed.status === 'fulfilled') this.discard(performed.value.place);
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
    takeTree: TakeTree,
  ): Promise<Performed> {
    const implementation = this.#options.implementations[stage.kind];
    if (!implementation) throw new TypeError(`nothing implements ${stage.kind}`);
    const attempt = async (memory?: Memory, tree?: Tree): Promise<Performed> => {
      const place = await makePlace(stage.name, this.#options.workspace, memory, tree);
      try {
        const { remove: _, ...directories } = place;
        const context = { ...surroundings, ...directories };
        const outcome = await implementation({ stage, parents, ...(tree && { tree: tree.path }), context });
        return { place, outcome };
      } catch (error) {
        const again = !surroundings.signal.aborted && (await memory?.explains(error));
        this.discard(place);
        if (!again) throw error;
        const message = 'there is not enough memory: once more on the disk';
        surroundings.report({ type: 'step', stage: stage.name, message });
        return await attempt();
      }
    };
    return await attempt(this.#options.memory, await takeTree());
  }

  /** Begins to remove what a stage has worked in, while other stages run. */
  discard(place: Place): void {
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
}

const secondsSince = (began: number): number => (performance.now() - began) / 1000;

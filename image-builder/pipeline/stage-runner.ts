// Runs one stage that the store does not have, and puts its result there.
import { throwIfCancelled } from '../base/diagnostics/cancelled.ts';
import { ImageBuilderError } from '../base/diagnostics/error.ts';
import type { Reporter } from '../base/diagnostics/progress.ts';
import type { Lock } from '../base/locking/file-lock.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import { progressOf, type StageContext } from '../sandbox/stage-context.ts';
import type { Memory } from '../sandbox/tmpfs.ts';
import { checkEntry, commitEntry, type Entry, entryName } from '../store/entry.ts';
import { type Store, storePath } from '../store/store.ts';
import type { Workspace } from '../store/workspace.ts';
import type { PlannedStage } from './plan.ts';
import { copyInMemory, makePlace, type Place, type Tree } from './stage-directories.ts';
import { openStageLog } from './stage-log.ts';

/** A stage about to run. */
export interface StageRun {
  stage: PlannedStage;
  /** The results of its parents, verified, by stage name. */
  parents: Readonly<Record<string, Entry>>;
  /**
   * The unpacked tree that the stage's `treeOf` has left behind; it is the stage's own now. Absent when that came out of
   * the store, or another stage was first.
   */
  tree?: string;
  /**
   * Copies the tree that the stage will leave, for those that wait for it beside the one that gets the tree itself:
   * a processor that has nothing to do meanwhile saves them unpacking it.
   * @param bytes that it takes, about
   * @returns the copies; none where there is no memory for them
   */
  copyTree: (tree: string, bytes: number) => Promise<readonly string[]>;
  context: StageContext;
}

/** What a stage has done, beside the files in its output directory. */
export interface StageOutcome<Facts extends object = object> {
  /** Plain data for later stages and for the caller. `sourceDateEpoch` replaces the one that the stage was given. */
  facts?: Facts;
  /** SHA-256 of output files that the stage has computed on the way, by path. */
  digests?: Readonly<Record<string, string>>;
  /** An unpacked tree of what it has packed, for one of the stages after it. */
  tree?: string;
}

/** Does the work of one stage. */
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
  implement(stage: PlannedStage): StageImplementation;
  /** Time stamp for a stage without parents, which may find a better one; the others inherit it. Seconds. */
  sourceDateEpoch: number;
  report: Reporter;
  signal: AbortSignal;
}

/** How the unpacked trees come to a stage and from it. */
export interface TreeExchange {
  /** Gives the unpacked tree that the stage goes on with, if that is there. */
  take(): Promise<Tree | undefined>;
  /** How many stages wait for the stage's own tree, as far as they can run at the same time. */
  wanted(): number;
}

/** What an implementation has done, and where its results lie until they are committed. */
interface Performed {
  place: Place;
  outcome: StageOutcome;
  /** Of the tree that it leaves. */
  copies: readonly Tree[];
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
   * @returns its entry, and the tree that it leaves, with copies if more are wanted
   * @throws whatever the implementation throws, with the path of the stage's log
   */
  async perform(
    stage: PlannedStage,
    parents: Readonly<Record<string, Entry>>,
    lock: Lock,
    exchange: TreeExchange,
  ): Promise<{ entry: Entry; trees: Tree[] }> {
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
      ...progressOf(stage.name, report),
      sandbox: memory?.sandbox ?? sandbox,
      signal,
      sourceDateEpoch: this.#epoch(parents),
      logFile: log.path,
    };
    try {
      const performed = await this.#attempt(stage, parents, surroundings, exchange);
      const { place, outcome, copies } = performed;
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
        if (outcome.tree !== undefined)
          return { entry, trees: [{ path: outcome.tree, remove: place.remove }, ...copies] };
        this.discard(place);
        return { entry, trees: [] };
      } catch (error) {
        this.#discardAll(performed);
        throw error;
      }
    } catch (error) {
      if (error instanceof ImageBuilderError && !signal.aborted) error.log = log.path;
      this.#options.report({
        type: 'stage',
        stage: stage.name,
        status: signal.aborted ? 'stopped' : 'failed',
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
    exchange: TreeExchange,
  ): Promise<Performed> {
    const verified = Promise.all(Object.values(parents).map((parent) => this.#verify(parent)));
    const [performed, verdict] = await Promise.allSettled([
      this.#implement(stage, parents, surroundings, exchange),
      verified,
    ]);
    if (performed.status === 'fulfilled' && verdict.status === 'fulfilled' && !surroundings.signal.aborted)
      return performed.value;
    if (performed.status === 'fulfilled') this.#discardAll(performed.value);
    // A damaged parent is the reason for whatever went wrong after it.
    if (verdict.status === 'rejected') throw verdict.reason;
    throwIfCancelled(surroundings.signal);
    throw (performed as PromiseRejectedResult).reason;
  }

  /** Runs the implementation with its trees in memory, and again on the disk if they do not fit. */
  async #implement(
    stage: PlannedStage,
    parents: Readonly<Record<string, Entry>>,
    surroundings: Omit<StageContext, 'workDir' | 'outputDir'>,
    exchange: TreeExchange,
  ): Promise<Performed> {
    const implementation = this.#options.implement(stage);
    const attempt = async (memory?: Memory, tree?: Tree): Promise<Performed> => {
      const place = await makePlace(stage.name, this.#options.workspace, memory, tree);
      const copies: Tree[] = [];
      const copyTree = async (own: string, bytes: number) => {
        while (memory && copies.length + 1 < exchange.wanted()) {
          const copy = await copyInMemory(own, bytes, memory, surroundings.signal);
          if (!copy) break;
          copies.push(copy);
        }
        return copies.map(({ path }) => path);
      };
      try {
        const { remove: _, ...directories } = place;
        const context = { ...surroundings, ...directories };
        const given = tree && { tree: tree.path };
        const outcome = await implementation({ stage, parents, ...given, copyTree, context });
        return { place, outcome, copies };
      } catch (error) {
        const again = !surroundings.signal.aborted && (await memory?.explains(error));
        this.#discardAll({ place, copies });
        if (!again) throw error;
        const message = 'no space left; run again on disk';
        surroundings.step(message);
        return await attempt();
      }
    };
    return await attempt(this.#options.memory, await exchange.take());
  }

  /** Begins to remove what a stage has worked in, or has left, while other stages run. */
  discard(what: Pick<Place | Tree, 'remove'>): void {
    this.#removals.push(what.remove());
  }

  #discardAll({ place, copies }: Pick<Performed, 'place' | 'copies'>): void {
    for (const what of [place, ...copies]) this.discard(what);
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

/** Wall time since `began`, a time of `performance.now()`. */
export const secondsSince = (began: number): number => (performance.now() - began) / 1000;

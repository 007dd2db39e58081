// Has the stages of a build made by Jobs: each after those that it starts from, side by side as far as that goes. One that fails
// keeps those from running that wait for it, and no others.
import { gzipSync } from 'node:zlib';
import { throwIfCancelled } from '../../base/diagnostics/cancelled.ts';
import { findingsOf, InvalidInputError, invalidInput } from '../../base/diagnostics/error.ts';
import { parseEvent } from '../../engines/run-container.ts';
import type { PlannedStage } from '../../pipeline/plan.ts';
import { secondsSince } from '../../pipeline/stage-runner.ts';
import type { SharedStore } from '../../store/shared/shared-store.ts';
import type { BuildSession } from '../session.ts';
import type { Cluster } from './cluster.ts';
import type { DescribedBuilder } from './describe-builder.ts';
import { canMount, jobName, stageJob } from './job-manifest.ts';
import { patiently } from './patience.ts';
import type { DriverRequest, KubernetesExecutor, StageRequest } from './protocol.ts';
import { runJob } from './run-job.ts';
import type { JobEvent } from './wait-for-job.ts';

/** What all Jobs of a build have in common. */
export interface JobSurroundings {
  cluster: Cluster;
  executor: KubernetesExecutor;
  described: DescribedBuilder;
  shared: SharedStore;
  /** The request of a stage, but for which stage it is. */
  common: DriverRequest;
}

/** The largest object that an API server keeps (bytes), with room for what is around a request. */
const REQUEST_BYTES = 1_000_000;

/** A stage did not run, because one that it starts from has failed. */
class ParentFailed extends Error {}

/**
 * Makes sure that the shared store has the results of the build's targets.
 * @throws the error of the stage that failed; InvalidInputError with the findings of all that failed, if there are several
 */
export async function runStagesInCluster(
  session: BuildSession,
  surroundings: JobSurroundings,
): Promise<void> {
  const run = new StageJobs(session, surroundings);
  const results = await Promise.allSettled(session.targets.map((target) => run.ensure(target)));
  await run.settle();
  throwIfCancelled(session.signal);
  const errors = results.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
  if (errors.length === 0) return;
  const [first, ...others] = run.failures();
  if (others.length === 0) throw first ?? errors[0];
  throw new InvalidInputError([first, ...others].flatMap(findingsOf));
}

class StageJobs {
  readonly #session: BuildSession;
  readonly #surroundings: JobSurroundings;
  readonly #stages: ReadonlyMap<string, PlannedStage>;
  readonly #ensured = new Map<string, Promise<void>>();
  readonly #failures: unknown[] = [];

  constructor(session: BuildSession, surroundings: JobSurroundings) {
    this.#session = session;
    this.#surroundings = surroundings;
    this.#stages = new Map(session.stages.map((stage) => [stage.name, stage]));
  }

  failures(): readonly unknown[] {
    return this.#failures;
  }

  /** Waits for everything that was begun. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.#ensured.values());
  }

  ensure(name: string): Promise<void> {
    const known = this.#ensured.get(name);
    if (known) return known;
    const stage = this.#stages.get(name);
    if (!stage) throw new TypeError(`the plan has no stage ${name}`);
    const ensured = this.#obtain(stage).catch((error: unknown) => {
      if (!(error instanceof ParentFailed)) this.#failures.push(error);
      throw error;
    });
    ensured.catch(() => {});
    this.#ensured.set(name, ensured);
    return ensured;
  }

  async #obtain(stage: PlannedStage): Promise<void> {
    const { shared } = this.#surroundings;
    const { report } = this.#session;
    const began = performance.now();
    if (await patiently(() => shared.has(stage), this.#session)) {
      report({ type: 'stage', stage: stage.name, status: 'cached', seconds: secondsSince(began) });
      return;
    }
    const parents = await Promise.allSettled(stage.parents.map((parent) => this.ensure(parent)));
    if (parents.some(({ status }) => status === 'rejected')) throw new ParentFailed();
    await this.#runOnce(stage);
  }

  /** Builds of one run that want the same wait for one Job once: the first of them shows its progress. */
  async #runOnce(stage: PlannedStage): Promise<void> {
    const { slots, running } = this.#surroundings.cluster;
    const job = jobName(stage);
    const known = running.get(job);
    if (known) {
      this.#session.report({ type: 'stage', stage: stage.name, status: 'waiting' });
      return await known;
    }
    const run = slots.run(() => this.#run(stage, job)).finally(() => running.delete(job));
    running.set(job, run);
    await run;
  }

  async #run(stage: PlannedStage, job: string): Promise<void> {
    const { cluster, executor, described, shared } = this.#surroundings;
    const { report, resolved, signal } = this.#session;
    throwIfCancelled(signal);
    const { name } = stage;
    const began = performance.now();
    report({ type: 'stage', stage: name, status: 'started' });
    const { image, privileges } = described;
    const annotations = { 'image-builder.airshipit.org/build': resolved.name };
    const description = { name: job, component: 'stage', annotations, executor, image };
    try {
      await runJob(
        cluster,
        {
          name: job,
          manifest: (secret) => stageJob(description, stage, secret, privileges),
          request: () => this.#requestFor(stage),
          container: 'build',
          whenEarlier: async () =>
            (await patiently(() => shared.has(stage), this.#session)) ? 'done' : 'again',
          onEvent: (event) => this.#show(name, event),
        },
        signal,
      );
      report({ type: 'stage', stage: name, status: 'finished', seconds: secondsSince(began) });
    } catch (error) {
      const status = signal.aborted ? 'stopped' : 'failed';
      report({ type: 'stage', stage: name, status, seconds: secondsSince(began) });
      throw error;
    }
  }

  #show(stage: string, event: JobEvent): void {
    const { report } = this.#session;
    if (event.type === 'line') this.#showLine(stage, event.line);
    else if (event.type === 'step') report({ type: 'step', stage, message: event.message });
    else report({ type: 'stage', stage, status: 'waiting' });
  }

  #showLine(stage: string, line: string): void {
    const { report } = this.#session;
    const inner = parseEvent(line);
    if (!inner) {
      // Findings come as the error.
      if (!line.startsWith('{"time":')) report({ type: 'output', stage, line });
      return;
    }
    // That stages begin and end in the Pod is not to be told twice.
    if (inner.type !== 'stage') report(inner);
  }

  #requestFor({ name, key }: PlannedStage): Buffer {
    const { common, described } = this.#surroundings;
    const mounts = canMount(described.privileges);
    const request: StageRequest = { ...common, stage: name, key, mounts };
    const content = gzipSync(JSON.stringify(request));
    if (content.length <= REQUEST_BYTES) return content;
    throw invalidInput(
      'spec.build.executor.kubernetes',
      `the resolved build has ${content.length} bytes when compressed, and a Secret at most ${REQUEST_BYTES}; shorten scripts and files of the spec, or fetch them`,
    );
  }
}

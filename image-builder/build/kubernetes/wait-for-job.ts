// Waits for a Job to end, and shows meanwhile what it does and what keeps it from doing anything.
import { setTimeout as delay } from 'node:timers/promises';
import type { V1Job, V1Pod } from '@kubernetes/client-node';
import { cancelled } from '../../base/diagnostics/cancelled.ts';
import { ApiError } from '../../cluster/api-error.ts';
import { ClusterError } from '../../cluster/cluster-error.ts';
import { followLog } from '../../cluster/follow-log.ts';
import { conditionOf, type JobCondition } from '../../cluster/job-state.ts';
import { containerPhase, type Delay, delayOf, failureOf, type PodFailure } from '../../cluster/pod-state.ts';
import { delayOfWarning } from '../../cluster/warnings.ts';
import type { Cluster } from './cluster.ts';
import { findingsIn } from './last-words.ts';

/** A Job that is waited for. */
export interface AwaitedJob {
  name: string;
  /** Container whose output is followed. */
  container: string;
  onEvent(event: JobEvent): void;
}

/** What happens to a Job. */
export type JobEvent =
  /** Somebody else has started it. */
  { type: 'joined' } | { type: 'step'; message: string } | { type: 'line'; line: string };

/** How long what the Pod says may come after what the Job says, in milliseconds. */
const LAG = 3000;

/**
 * @param job as it was when the waiting began: another of its name is not it
 * @returns the Pod that has done it, as far as it is known
 * @throws ContainedError with what the program in the Pod has found; ClusterError; CancelledError
 */
export async function waitForJob(
  cluster: Cluster,
  awaited: AwaitedJob,
  job: V1Job,
  signal: AbortSignal,
): Promise<V1Pod | undefined> {
  return await new JobWait(cluster, awaited, job, signal).end();
}

/** One caller's waiting for one Job. */
class JobWait {
  readonly #cluster: Cluster;
  readonly #awaited: AwaitedJob;
  readonly #uid: string | undefined;
  readonly #signal: AbortSignal;
  readonly #pods = new Map<string, V1Pod>();
  readonly #logs = new Map<string, Promise<void>>();
  readonly #told = new Set<string>();
  readonly #over = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #delay: string | undefined;
  /** What ends the waiting, if it lasts. */
  #obstacle: ClusterError | undefined;
  #resolve: (pod: V1Pod | undefined) => void = () => {};
  #reject: (error: unknown) => void = () => {};

  constructor(cluster: Cluster, awaited: AwaitedJob, job: V1Job, signal: AbortSignal) {
    this.#cluster = cluster;
    this.#awaited = awaited;
    this.#uid = job.metadata?.uid;
    this.#signal = signal;
  }

  async end(): Promise<V1Pod | undefined> {
    const { jobs } = this.#cluster;
    const ended = new Promise<V1Pod | undefined>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    const onAbort = () => this.#reject(cancelled(this.#signal));
    this.#signal.addEventListener('abort', onAbort, { once: true });
    if (this.#signal.aborted) onAbort();
    const unlisten = jobs.listen(this.#awaited.name, {
      onJob: (job) => this.#onJob(job),
      onPod: (pod) => this.#onPod(pod),
      onWarning: (reason, message) => {
        // Others say nothing about what the Pod waits for, not even that it does not.
        const found = delayOfWarning(reason, message);
        if (found) this.#onDelay(found);
      },
    });
    jobs.failed.catch(this.#reject);
    // It may have gone on before we listened.
    void this.#look().catch(this.#reject);
    try {
      return await ended;
    } finally {
      unlisten();
      clearTimeout(this.#timer);
      this.#signal.removeEventListener('abort', onAbort);
      const logs = Promise.allSettled(this.#logs.values());
      await Promise.race([logs, delay(LAG, undefined, { ref: false })]);
      this.#over.abort();
      await logs;
    }
  }

  /** Asks for the state of the Job, when the watches may have told it to nobody. */
  async #look(): Promise<void> {
    const { api, namespace } = this.#cluster;
    const path = `/apis/batch/v1/namespaces/${namespace}/jobs/${this.#awaited.name}`;
    try {
      const job = await api.request<V1Job>({ method: 'GET', path }, this.#signal);
      if (job.metadata?.uid !== this.#uid) throw this.#deleted();
      if (job.status?.active || conditionOf(job)) await this.#findPods();
      this.#onJob(job);
    } catch (error) {
      throw error instanceof ApiError && error.status === 404 ? this.#deleted() : error;
    }
  }

  /** Gets the Pods that were there before we listened. */
  async #findPods(): Promise<void> {
    const { api, namespace } = this.#cluster;
    const path = `/api/v1/namespaces/${namespace}/pods`;
    const query = { labelSelector: `batch.kubernetes.io/job-name=${this.#awaited.name}` };
    const { items } = await api.request<{ items: V1Pod[] }>({ method: 'GET', path, query }, this.#signal);
    for (const pod of items) this.#onPod(pod);
  }

  #onJob(job: V1Job | undefined): void {
    // A list may be older than the Job.
    if (!job) return void this.#look().catch(this.#reject);
    if (job.metadata?.uid !== this.#uid) return;
    const condition = conditionOf(job);
    if (condition) void this.#conclude(condition).catch(this.#reject);
  }

  async #conclude({ type, reason = '', message = '' }: JobCondition): Promise<void> {
    const succeeded = type === 'Complete';
    const phase = succeeded ? 'Succeeded' : 'Failed';
    const isKnown = () => this.#podsOf().find((pod) => pod.status?.phase === phase);
    for (const began = performance.now(); !isKnown() && performance.now() - began < LAG; ) await delay(100);
    if (succeeded) return this.#resolve(isKnown());
    if (reason === 'DeadlineExceeded') return this.#reject(timedOut(this.#awaited.name, this.#delay));
    const failures = this.#podsOf().flatMap((pod) => failureOf(pod) ?? []);
    // What the program says comes before what the cluster says of its Pod.
    const said = failures
      .map((one) => findingsIn(one.message, this.#logOf(one)))
      .findLast((one) => one !== undefined);
    const error = said ?? failures.findLast((one) => one.error)?.error;
    this.#reject(
      error ??
        new ClusterError('JOB_FAILED', `the Job ${this.#awaited.name} has failed: ${message || reason}`),
    );
  }

  /** How to see all that the container has printed. */
  #logOf({ pod, container }: PodFailure): string {
    return `kubectl logs --namespace ${this.#cluster.namespace} ${pod} --container ${container}`;
  }

  #podsOf(): V1Pod[] {
    return [...this.#pods.values()];
  }

  #onPod(pod: V1Pod): void {
    const { uid = '', name = '', ownerReferences = [] } = pod.metadata ?? {};
    if (!ownerReferences.some((owner) => owner.uid === this.#uid)) return;
    this.#pods.delete(uid);
    this.#pods.set(uid, pod);
    this.#onDelay(delayOf(pod));
    const node = pod.spec?.nodeName;
    if (node) this.#tell(`runs in the Pod ${name} on ${node}`);
    const failure = failureOf(pod);
    if (failure?.error) this.#tell(`warning: ${failure.error.message}`);
    if (containerPhase(pod, this.#awaited.container) !== 'waiting' && !this.#logs.has(uid))
      this.#logs.set(uid, this.#follow(uid, name));
  }

  async #follow(uid: string, pod: string): Promise<void> {
    const { api, namespace } = this.#cluster;
    const { container } = this.#awaited;
    const hasEnded = () => {
      const known = this.#pods.get(uid);
      return known === undefined || containerPhase(known, container) === 'ended';
    };
    await followLog(
      api,
      { namespace, pod, container },
      (line) => this.#awaited.onEvent({ type: 'line', line }),
      hasEnded,
      AbortSignal.any([this.#signal, this.#over.signal]),
    ).catch((error: unknown) => {
      // The result counts; a Role without pods/log does not keep it from being made.
      if (!this.#over.signal.aborted && error instanceof ClusterError)
        this.#tell(`warning: ${error.message}`);
    });
  }

  /** What keeps the Pod from running, now. */
  #onDelay(found: Delay | undefined): void {
    if (found?.message === this.#delay) return;
    this.#delay = found?.message;
    if (found) this.#tell(`warning: ${found.message}`);
    const { error, seconds = 0 } = found?.error ?? {};
    // What is tried again fails in other words each time: that does not begin the waiting anew.
    const isAnother = error?.code !== this.#obstacle?.code;
    this.#obstacle = error;
    if (!isAnother) return;
    clearTimeout(this.#timer);
    if (error) this.#timer = setTimeout(() => this.#reject(this.#obstacle), seconds * 1000);
  }

  #tell(message: string): void {
    if (!this.#told.has(message)) this.#awaited.onEvent({ type: 'step', message });
    this.#told.add(message);
  }

  #deleted(): ClusterError {
    const text = `the Job ${this.#awaited.name} was deleted while it was waited for`;
    return new ClusterError('JOB_DELETED', text, {
      hint: 'build again; what is finished is in the shared store',
    });
  }
}

function timedOut(name: string, why: string | undefined): ClusterError {
  const text = `the Job ${name} did not end in time${why === undefined ? '' : `: ${why}`}`;
  return new ClusterError('JOB_TIMED_OUT', text, {
    hint: 'raise spec.build.executor.kubernetes.activeDeadline, or give the cluster room',
  });
}

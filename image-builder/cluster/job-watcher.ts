// What becomes of Jobs, of their Pods and of what the cluster warns of, by three watches for any number of Jobs.

import type { CoreV1Event, V1Job, V1Pod } from '@kubernetes/client-node';
import { keepHeapSmall } from '#runtime';
import type { ApiClient } from './api-client.ts';
import { watch } from './watch.ts';

/** Who is told about one Job. */
export interface JobListener {
  /** Undefined: it is no longer there. */
  onJob(job: V1Job | undefined): void;
  onPod(pod: V1Pod): void;
  /** A warning about the Job or one of its Pods. */
  onWarning(reason: string, message: string): void;
}

/** The Jobs of one namespace that have a label. */
export class JobWatcher {
  readonly #listeners = new Map<string, Set<JobListener>>();
  readonly #stop = new AbortController();
  readonly #ready: Promise<unknown>;
  readonly #watches: Promise<void>[];
  /** Rejects when the cluster refuses to be watched. */
  readonly failed: Promise<never>;

  /** @param selector of labels, which the Pods have too */
  constructor(api: ApiClient, namespace: string, selector: string) {
    const { signal } = this.#stop;
    const labels = { labelSelector: selector };
    const begun = (start: (onReady: () => void) => Promise<void>) => {
      let onReady = () => {};
      const ready = new Promise<void>((resolve) => {
        onReady = resolve;
      });
      // Each event is an object of 20 KB, of which nothing is kept.
      return { ready, done: keepHeapSmall().then(() => start(onReady)) };
    };
    const watches = [
      begun((onReady) =>
        watch<V1Job>(
          api,
          { path: `/apis/batch/v1/namespaces/${namespace}/jobs`, query: labels },
          {
            onList: (jobs) => this.#listJobs(jobs),
            onChange: (type, job) =>
              this.#tell(job.metadata?.name, (one) => one.onJob(type === 'DELETED' ? undefined : job)),
          },
          signal,
          onReady,
        ),
      ),
      begun((onReady) =>
        watch<V1Pod>(
          api,
          { path: `/api/v1/namespaces/${namespace}/pods`, query: labels },
          {
            onList: (pods) => {
              for (const pod of pods) this.#tellOfPod(pod);
            },
            onChange: (_type, pod) => this.#tellOfPod(pod),
          },
          signal,
          onReady,
        ),
      ),
      begun((onReady) =>
        watch<CoreV1Event>(
          api,
          { path: `/api/v1/namespaces/${namespace}/events`, query: { fieldSelector: 'type=Warning' } },
          {
            // Those from before are about Jobs from before.
            onList: () => {},
            onChange: (type, event) => {
              if (type !== 'DELETED') this.#tellOfEvent(event);
            },
          },
          signal,
          onReady,
        ),
      ),
    ];
    this.#watches = watches.map(({ done }) => done);
    this.failed = new Promise((_, reject) => {
      for (const one of this.#watches) one.catch(reject);
    });
    this.failed.catch(() => {});
    this.#ready = Promise.all(watches.map(({ ready }) => ready));
  }

  /** Resolves when nothing that happens from now on is missed. */
  async ready(): Promise<void> {
    await Promise.race([this.#ready, this.failed]);
  }

  /** @returns ends the listening */
  listen(job: string, listener: JobListener): () => void {
    const listeners = this.#listeners.get(job) ?? new Set();
    listeners.add(listener);
    this.#listeners.set(job, listeners);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) this.#listeners.delete(job);
    };
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await Promise.allSettled(this.#watches);
  }

  #listJobs(jobs: readonly V1Job[]): void {
    const byName = new Map(jobs.map((job) => [job.metadata?.name ?? '', job]));
    for (const name of this.#listeners.keys()) this.#tell(name, (one) => one.onJob(byName.get(name)));
  }

  #tellOfPod(pod: V1Pod): void {
    this.#tell(jobOf(pod), (one) => one.onPod(pod));
  }

  #tellOfEvent({ involvedObject, reason = '', message = '' }: CoreV1Event): void {
    const { kind, name = '' } = involvedObject;
    // Pods are named after their Job.
    const job = kind === 'Job' ? name : name.replace(/-[a-z0-9]{5}$/, '');
    if (kind === 'Job' || kind === 'Pod') this.#tell(job, (one) => one.onWarning(reason, message));
  }

  #tell(job: string | undefined, tell: (listener: JobListener) => void): void {
    for (const listener of this.#listeners.get(job ?? '') ?? []) tell(listener);
  }
}

function jobOf({ metadata }: V1Pod): string | undefined {
  return metadata?.labels?.['batch.kubernetes.io/job-name'] ?? metadata?.labels?.['job-name'];
}

// Runs a Job to its end, or waits for the one that somebody else has started: the name is that of the result, so the API server
// is the lock. Whoever waits says so in an annotation, and the last one who gives up deletes the Job.
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { V1Job, V1Pod } from '@kubernetes/client-node';
import { ApiError } from '../../cluster/api-error.ts';
import type { ClusterError } from '../../cluster/cluster-error.ts';
import { conditionOf } from '../../cluster/job-state.ts';
import type { Cluster, ClusterApi } from './cluster.ts';
import { requestSecret, secretOf, TRIGGERED, WAITER } from './job-manifest.ts';
import { type AwaitedJob, waitForJob } from './wait-for-job.ts';

/** A Job that is wanted. */
export interface WantedJob extends AwaitedJob {
  /** The Job that reads its request in a Secret of that name. */
  manifest(secret: string): V1Job;
  /** What the Secret holds; none when it is absent. */
  request?: () => Buffer;
  /** What an earlier Job of the name, which has succeeded, means: the result is there, the Pod has it, or it is gone. */
  whenEarlier(): Promise<'done' | 'ask' | 'again'>;
}

/** How long giving up may take, in milliseconds. */
const CLEAN_UP = 20_000;

/**
 * @returns the Pod that has done it; undefined when the result was there before
 * @throws ContainedError with what the program in the Pod has found; ClusterError; CancelledError
 */
export async function runJob(
  cluster: Cluster,
  wanted: WantedJob,
  signal: AbortSignal,
): Promise<V1Pod | undefined> {
  try {
    const job = await startOrJoin(cluster, wanted, signal);
    return job && (await waitForJob(cluster, wanted, job, signal));
  } catch (error) {
    // Whoever gives up leaves the Job to those who still wait for it; what was asked for may be there although no answer came.
    await release(cluster, wanted.name).catch((failure: Error) => {
      if (failure instanceof ApiError && failure.status === 404) return;
      const message = `warning: the Job ${wanted.name} may be left in the cluster: ${failure.message}`;
      wanted.onEvent({ type: 'step', message });
    });
    throw error;
  }
}

/** @returns the Job, which this caller waits for now; undefined when its result is there */
async function startOrJoin(
  cluster: Cluster,
  wanted: WantedJob,
  signal: AbortSignal,
): Promise<V1Job | undefined> {
  const { api, namespace, caller } = cluster;
  const jobs = `/apis/batch/v1/namespaces/${namespace}/jobs`;
  const path = `${jobs}/${wanted.name}`;
  for (;;) {
    try {
      const secret = `${wanted.name}-${randomBytes(4).toString('hex')}`;
      const manifest = wanted.manifest(secret);
      const annotations = { ...manifest.metadata?.annotations, [WAITER + caller]: '' };
      const body = { ...manifest, metadata: { ...manifest.metadata, annotations } };
      const job = await api.request<V1Job>({ method: 'POST', path: jobs, body }, signal);
      await giveRequest(cluster, wanted, job, signal);
      return job;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status !== 409) throw refused(error, namespace);
    }
    try {
      const existing = await api.request<V1Job>({ method: 'GET', path }, signal);
      const condition = conditionOf(existing);
      if (condition) {
        const earlier = condition.type === 'Complete' ? await wanted.whenEarlier() : 'again';
        if (earlier === 'done') return undefined;
        if (earlier === 'ask') return existing;
        await deleteJob(cluster, existing, signal);
        continue;
      }
      const patch = { metadata: { annotations: { [WAITER + caller]: '' } } };
      const contentType = 'application/merge-patch+json';
      const job = await api.request<V1Job>({ method: 'PATCH', path, body: patch, contentType }, signal);
      wanted.onEvent({ type: 'joined' });
      // Whoever has made the Job may have been killed before it made the Secret.
      await giveRequest(cluster, wanted, job, signal);
      return job;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status !== 404 && error.status !== 409) throw refused(error, namespace);
      await delay(200, undefined, { signal }).catch(() => {});
    }
  }
}

async function giveRequest(
  { api, namespace }: Cluster,
  { request }: WantedJob,
  job: V1Job,
  signal: AbortSignal,
): Promise<void> {
  const { name = '', uid = '' } = job.metadata ?? {};
  const secret = secretOf(job);
  if (!request || secret === undefined) return;
  const body = requestSecret(secret, { name, uid }, request());
  await api
    .request({ method: 'POST', path: `/api/v1/namespaces/${namespace}/secrets`, body }, signal)
    .catch((error: unknown) => {
      if (!(error instanceof ApiError)) throw error;
      if (error.status !== 409) throw refused(error, namespace);
    });
}

/** Waits for a Job no longer; deletes it when nobody else waits. */
async function release(cluster: Cluster, name: string): Promise<void> {
  const { api, namespace, caller } = cluster;
  const path = `/apis/batch/v1/namespaces/${namespace}/jobs/${name}`;
  const signal = AbortSignal.timeout(CLEAN_UP);
  const body = { metadata: { annotations: { [WAITER + caller]: null } } };
  const contentType = 'application/merge-patch+json';
  for (;;) {
    const job = await api.request<V1Job>({ method: 'PATCH', path, body, contentType }, signal);
    const annotations = Object.keys(job.metadata?.annotations ?? {});
    const isWanted = annotations.some((one) => one.startsWith(WAITER) || one === TRIGGERED);
    // What has ended stays for a while: for whoever looks into it.
    if (isWanted || conditionOf(job)) return;
    try {
      return await deleteJob(cluster, job, signal);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 409) throw error;
    }
  }
}

/** Deletes a Job as it is here: not one that has changed meanwhile, nor another of the same name. */
export async function deleteJob(
  { api, namespace }: ClusterApi,
  { metadata }: V1Job,
  signal: AbortSignal,
): Promise<void> {
  const { name, uid, resourceVersion } = metadata ?? {};
  const path = `/apis/batch/v1/namespaces/${namespace}/jobs/${name}`;
  const body = { preconditions: { uid, resourceVersion }, propagationPolicy: 'Background' };
  await api.request({ method: 'DELETE', path, body }, signal);
}

function refused(error: ApiError, namespace: string): ClusterError {
  return error.toClusterError(`a Job in the namespace ${namespace}`);
}

// `whenMissing: Trigger` in a cluster: a Job that starts the others outlives the render. It is named by what is wanted, so a
// hundred renders start one; later ones find it, and tell what has become of it.
import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import type { V1Job, V1Pod } from '@kubernetes/client-node';
import { type Finding, invalidInput } from '../../base/diagnostics/error.ts';
import { ApiError } from '../../cluster/api-error.ts';
import { conditionOf } from '../../cluster/job-state.ts';
import { failureOf } from '../../cluster/pod-state.ts';
import { parseEvent } from '../../engines/run-container.ts';
import { hashOf } from '../../pipeline/keys.ts';
import { requireImageSource, requireJobs } from '../../policy/builder.ts';
import { refuseInBackground } from '../background/launch.ts';
import { MissingResultError } from '../missing-result-error.ts';
import type { BuildSession } from '../session.ts';
import { formatBuildCommand, type SpecSource } from '../spec-source.ts';
import { type ClusterApi, openApi } from './cluster.ts';
import { driverJob, requestSecret, secretOf, TRIGGERED } from './job-manifest.ts';
import { findingsIn } from './last-words.ts';
import type { DriverRequest, KubernetesExecutor } from './protocol.ts';
import { deleteJob } from './run-job.ts';
import { environmentOf, requireSharing } from './sharing.ts';

const FIELD = 'spec.build.executor.kubernetes';
/** Lines of a log that an error shows. */
const SHOWN_LINES = 20;

/**
 * Starts the build in the cluster, unless it runs or has failed.
 * @param id of what is wanted; the same for all renders that want it
 * @throws MissingResultError, always: there is no result yet; ClusterError, InvalidInputError
 */
export async function triggerInCluster(
  session: BuildSession,
  id: string,
  source: SpecSource,
): Promise<never> {
  const { resolved, policy, env, retry = false } = session;
  const { kubernetes: executor } = resolved.executor;
  if (!executor) throw new TypeError('the build is not for a cluster');
  requireImageSource(policy, executor.image, `${FIELD}.image`);
  requireJobs(policy, executor);
  refuseInBackground(source, policy);
  if (executor.serviceAccountName === undefined)
    throw invalidInput(
      `${FIELD}.serviceAccountName`,
      'is missing: the Job that starts the others needs a ServiceAccount that may; manifests/kubernetes has one',
    );
  const trusted = requireSharing(resolved, policy, env);
  const request: DriverRequest = {
    resolved: asDriven(resolved, executor),
    store: trusted,
    environment: environmentOf(env),
  };
  const cluster = await openApi(executor, session);
  try {
    const name = `ib-driver-${hashOf({ id, image: executor.image }).slice(0, 40)}`;
    const follow = `follow it: kubectl logs --namespace ${cluster.namespace} --follow job/${name}`;
    for (;;) {
      if (await start(cluster, name, executor, request, resolved.name))
        throw missing('BUILD_TRIGGERED', `a build was started in the cluster; ${follow}`, name);
      const job = await find(cluster, name);
      if (!job) continue;
      const condition = conditionOf(job);
      if (!condition) throw await running(cluster, job, follow);
      if (!retry) throw await failed(cluster, job, source);
      await deleteJob(cluster, job, session.signal);
    }
  } finally {
    cluster.api.close();
  }
}

/** Of the executor, what the Job cannot know better itself. */
function asDriven(
  resolved: DriverRequest['resolved'],
  executor: KubernetesExecutor,
): DriverRequest['resolved'] {
  const { context: _, namespace: __, ...there } = executor;
  const { store: ___, bundle, ...rest } = resolved;
  const { layout: ____, archive: _____, repository: ______, ...contained } = bundle;
  return {
    ...rest,
    executor: { kubernetes: there },
    whenMissing: 'Build',
    bundle: { ...contained, disks: false },
  };
}

/** @returns false when there is such a Job already */
async function start(
  { api, namespace }: ClusterApi,
  name: string,
  executor: KubernetesExecutor,
  request: DriverRequest,
  build: string,
): Promise<boolean> {
  const secret = `${name}-${randomBytes(4).toString('hex')}`;
  const annotations = { 'image-builder.airshipit.org/build': build, [TRIGGERED]: 'true' };
  const description = { name, component: 'driver', annotations, executor, image: executor.image };
  const jobs = `/apis/batch/v1/namespaces/${namespace}/jobs`;
  try {
    const body = driverJob(description, secret);
    const job = await api.request<V1Job>({ method: 'POST', path: jobs, body });
    const owner = { name, uid: job.metadata?.uid ?? '' };
    const content = requestSecret(secretOf(job) ?? secret, owner, gzipSync(JSON.stringify(request)));
    await api.request({ method: 'POST', path: `/api/v1/namespaces/${namespace}/secrets`, body: content });
    return true;
  } catch (error) {
    if (error instanceof ApiError && error.status === 409) return false;
    throw error instanceof ApiError ? error.toClusterError(`a Job in the namespace ${namespace}`) : error;
  }
}

async function find({ api, namespace }: ClusterApi, name: string): Promise<V1Job | undefined> {
  try {
    return await api.request<V1Job>({
      method: 'GET',
      path: `/apis/batch/v1/namespaces/${namespace}/jobs/${name}`,
    });
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return undefined;
    throw error instanceof ApiError ? error.toClusterError(`to show the Job ${name}`) : error;
  }
}

async function running(cluster: ClusterApi, job: V1Job, follow: string): Promise<MissingResultError> {
  const name = job.metadata?.name ?? '';
  const [pod] = await podsOf(cluster, name);
  const lines = pod ? await lastLines(cluster, pod) : [];
  const progress = lines.findLast((line) => parseEvent(line)?.type === 'step');
  const event = progress === undefined ? undefined : parseEvent(progress);
  const now = event?.type === 'step' ? ` (${event.stage}: ${event.message})` : '';
  const since = job.status?.startTime ? ` since ${job.status.startTime}` : '';
  return missing('BUILD_RUNNING', `it is being built in the cluster${since}${now}; ${follow}`, name);
}

async function failed(cluster: ClusterApi, job: V1Job, source: SpecSource): Promise<MissingResultError> {
  const name = job.metadata?.name ?? '';
  const again = `to retry with the same inputs: ${formatBuildCommand(source)} --when-missing Trigger`;
  if (conditionOf(job)?.type === 'Complete') {
    const why = 'but the shared store has no result that may be believed';
    return missing('TRIGGERED_BUILD_FAILED', `the Job ${name} has ended, ${why}; ${again}`, name);
  }
  const pod = (await podsOf(cluster, name)).find(({ status }) => status?.phase === 'Failed');
  const failure = pod && failureOf(pod);
  const findings =
    findingsIn(failure?.message, `kubectl logs --namespace ${cluster.namespace} job/${name}`)?.findings() ??
    failure?.error?.findings() ??
    [];
  const lines = pod ? (await lastLines(cluster, pod)).slice(-SHOWN_LINES).map(readable) : [];
  const log = lines.flatMap((line) => (line === undefined ? [] : [`\n  | ${line}`])).join('');
  const { reason = '', message = '' } = conditionOf(job) ?? {};
  const why = findings.length > 0 ? '' : `: ${message || reason}`;
  return missing(
    'TRIGGERED_BUILD_FAILED',
    `the build in the cluster has failed${why}; ${again}${log}`,
    name,
    findings,
  );
}

async function podsOf({ api, namespace }: ClusterApi, job: string): Promise<V1Pod[]> {
  try {
    const query = { labelSelector: `batch.kubernetes.io/job-name=${job}` };
    const path = `/api/v1/namespaces/${namespace}/pods`;
    return (await api.request<{ items: V1Pod[] }>({ method: 'GET', path, query })).items;
  } catch {
    // It explains, and no more.
    return [];
  }
}

async function lastLines({ api, namespace }: ClusterApi, { metadata }: V1Pod): Promise<string[]> {
  const path = `/api/v1/namespaces/${namespace}/pods/${metadata?.name}/log`;
  const lines: string[] = [];
  try {
    const query = { container: 'drive', tailLines: '100' };
    for await (const line of api.lines({ path, query }, AbortSignal.timeout(LOG_TIMEOUT))) lines.push(line);
  } catch {
    // Of a container that has not started.
  }
  return lines;
}

const LOG_TIMEOUT = 20_000;

/** A line of the program's log for people; undefined for what says nothing to them. */
function readable(line: string): string | undefined {
  const event = parseEvent(line);
  if (event?.type === 'step') return `${event.stage}: ${event.message}`;
  if (event?.type === 'stage') return `${event.stage}: ${event.status}`;
  if (event?.type === 'output') return `${event.stage}: ${event.line}`;
  return line.startsWith('{') ? undefined : line;
}

function missing(
  code: 'BUILD_TRIGGERED' | 'BUILD_RUNNING' | 'TRIGGERED_BUILD_FAILED',
  what: string,
  job: string,
  findings: readonly Finding[] = [],
): MissingResultError {
  return new MissingResultError(code, `the bundle is not built yet; ${what}`, { job }, findings);
}

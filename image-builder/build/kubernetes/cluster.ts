// The cluster that a build runs in: one client and one set of watches for all of its Jobs.
import { randomBytes } from 'node:crypto';
import type { Reporter } from '../../base/diagnostics/progress.ts';
import type { Env } from '../../base/env.ts';
import { ApiClient } from '../../cluster/api-client.ts';
import { ApiError } from '../../cluster/api-error.ts';
import { JobWatcher } from '../../cluster/job-watcher.ts';
import { SELECTOR } from './job-manifest.ts';
import type { KubernetesExecutor } from './protocol.ts';

/** A cluster that can be asked. */
export interface ClusterApi {
  api: ApiClient;
  namespace: string;
}

/** An open cluster. */
export interface Cluster extends ClusterApi {
  jobs: JobWatcher;
  /** Who waits for Jobs: this run of the program. */
  caller: string;
  close(): Promise<void>;
}

/** What a cluster needs of a build's surroundings. */
interface Surroundings {
  env: Env;
  report: Reporter;
  signal: AbortSignal;
}

const STAGE = 'kubernetes';

/** @throws ClusterError KUBECONFIG_UNUSABLE */
export async function openApi(
  { context, namespace }: KubernetesExecutor,
  { env, report, signal }: Surroundings,
): Promise<ClusterApi> {
  const { readKubeconfig } = await import('../../cluster/kubeconfig.ts');
  const access = readKubeconfig(context, env);
  const step = (message: string) => report({ type: 'step', stage: STAGE, message });
  const told = new Set<string>();
  const api = new ApiClient(access, {
    signal,
    onOutage: step,
    // The same for every Job.
    onWarning: (message) => {
      if (!told.has(message)) step(`warning: ${message}`);
      told.add(message);
    },
  });
  return { api, namespace: namespace ?? access.namespace };
}

/** @throws ClusterError when it cannot be reached or watched */
export async function openCluster(
  executor: KubernetesExecutor,
  surroundings: Surroundings,
): Promise<Cluster> {
  const { api, namespace } = await openApi(executor, surroundings);
  const jobs = new JobWatcher(api, namespace, SELECTOR);
  const close = async () => {
    await jobs.close();
    api.close();
  };
  try {
    await jobs.ready();
  } catch (error) {
    await close();
    throw error instanceof ApiError ? error.toClusterError(`to show the Jobs in ${namespace}`) : error;
  }
  return { api, namespace, jobs, caller: randomBytes(8).toString('hex'), close };
}

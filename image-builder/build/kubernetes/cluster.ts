// The cluster that builds run in: one client, one set of watches and one number of Jobs at a time for all builds of a run of the
// program that are in one namespace.
import { randomBytes } from 'node:crypto';
import type { Reporter } from '../../base/diagnostics/progress.ts';
import type { Env } from '../../base/env.ts';
import { ApiClient } from '../../cluster/api-client.ts';
import { ApiError } from '../../cluster/api-error.ts';
import { JobWatcher } from '../../cluster/job-watcher.ts';
import { createSlots, type Slots } from '../../pipeline/semaphore.ts';
import { SELECTOR } from './job-manifest.ts';
import type { KubernetesExecutor } from './protocol.ts';

/** A cluster that can be asked. */
export interface ClusterApi {
  api: ApiClient;
  namespace: string;
}

/** An open cluster, for one build. */
export interface Cluster extends ClusterApi {
  jobs: JobWatcher;
  /** Who waits for Jobs: this build. */
  caller: string;
  /** Jobs at a time. */
  slots: Slots;
  /** Stages that builds of this run wait for, by the names of their Jobs. */
  running: Map<string, Promise<void>>;
  /** The build is told no more of the cluster. */
  leave(): void;
}

/** What a cluster needs of a build's surroundings. */
interface Surroundings {
  env: Env;
  report: Reporter;
  signal: AbortSignal;
}

const STAGE = 'kubernetes';
const DEFAULT_PARALLELISM = 10;

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

/** The clusters that builds of one run of the program share, each open from when it is first asked for until `close`. */
export class Clusters {
  readonly #shared = new Map<string, SharedCluster>();
  readonly #connect: typeof openApi;

  /** @param connect for tests */
  constructor(connect = openApi) {
    this.#connect = connect;
  }

  /**
   * @param surroundings of the build; all builds have the same environment and the same signal
   * @throws ClusterError when it cannot be reached or watched
   */
  async open(executor: KubernetesExecutor, surroundings: Surroundings): Promise<Cluster> {
    const { context, namespace, parallelism = DEFAULT_PARALLELISM } = executor;
    const id = JSON.stringify([context, namespace]);
    const shared =
      this.#shared.get(id) ??
      new SharedCluster((report) => this.#connect(executor, { ...surroundings, report }));
    this.#shared.set(id, shared);
    return await shared.join(surroundings.report, parallelism);
  }

  /** Ends watches and connections. */
  async close(): Promise<void> {
    await Promise.all([...this.#shared.values()].map((shared) => shared.close()));
  }
}

/** What builds in one namespace have in common. */
class SharedCluster {
  readonly #watched: Promise<ClusterApi & { jobs: JobWatcher }>;
  readonly #reporters = new Set<Reporter>();
  readonly #slots = new Map<number, Slots>();
  readonly #running = new Map<string, Promise<void>>();

  /** @param connect told whom to tell of outages and warnings */
  constructor(connect: (report: Reporter) => Promise<ClusterApi>) {
    this.#watched = connect((event) => {
      for (const tell of this.#reporters) tell(event);
    }).then(watched);
    // Whoever joins is told.
    this.#watched.catch(() => {});
  }

  async join(report: Reporter, parallelism: number): Promise<Cluster> {
    this.#reporters.add(report);
    const slots = this.#slots.get(parallelism) ?? createSlots(parallelism);
    this.#slots.set(parallelism, slots);
    return {
      ...(await this.#watched),
      ...{ caller: randomBytes(8).toString('hex'), slots, running: this.#running },
      leave: () => void this.#reporters.delete(report),
    };
  }

  async close(): Promise<void> {
    const open = await this.#watched.catch(() => undefined);
    await open?.jobs.close();
    open?.api.close();
  }
}

async function watched({ api, namespace }: ClusterApi): Promise<ClusterApi & { jobs: JobWatcher }> {
  const jobs = new JobWatcher(api, namespace, SELECTOR);
  try {
    await jobs.ready();
    return { api, namespace, jobs };
  } catch (error) {
    await jobs.close();
    api.close();
    throw error instanceof ApiError ? error.toClusterError(`to show the Jobs in ${namespace}`) : error;
  }
}

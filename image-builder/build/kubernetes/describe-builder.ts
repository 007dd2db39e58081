// What decides keys in a builder image, found out by running it once, and how far Pods can be confined in the cluster. Both are
// remembered: for an image with a digest they do not change.
import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { findingsOf } from '../../base/diagnostics/error.ts';
import { replaceFile } from '../../base/files/replace.ts';
import { isRecord } from '../../base/record.ts';
import { ApiError } from '../../cluster/api-error.ts';
import { ClusterError, type ClusterErrorCode } from '../../cluster/cluster-error.ts';
import { version } from '../../embedded/release.ts';
import { hashOf } from '../../pipeline/keys.ts';
import { splitImage } from '../../policy/patterns.ts';
import { prepareStore, type Store, storePath } from '../../store/store.ts';
import type { Cluster } from './cluster.ts';
import { builderJob, type Privileges } from './job-manifest.ts';
import { builderIn } from './last-words.ts';
import type { Builder, BuilderQuestion, KubernetesExecutor } from './protocol.ts';
import { runJob } from './run-job.ts';

/** What was found out. */
export interface DescribedBuilder {
  builder: Builder;
  /** The image, with its digest if the node knows it. */
  image: string;
  privileges: Privileges;
}

/** What is asked, and of whom. */
export interface BuilderRequest {
  executor: KubernetesExecutor;
  question: BuilderQuestion;
  /** Where the answer is remembered. */
  store: Store;
  step(message: string): void;
  signal: AbortSignal;
}

/**
 * @param open opens the cluster; not called when the answer is known
 * @throws ClusterError BUILDER_UNSUITABLE, CLUSTER_UNSUITABLE, and those of {@link runJob}
 */
export async function describeBuilder(
  request: BuilderRequest,
  open: () => Promise<Cluster>,
): Promise<DescribedBuilder> {
  const { executor, question, store, step } = request;
  const { context = '', namespace = '', image, privileges = '' } = executor;
  const isPinned = splitImage(image).digest !== undefined;
  if (!isPinned) step(`warning: ${image} may change; name it by its digest`);
  const id = hashOf({ context, namespace, image, privileges, question });
  const file = storePath(store, 'cache', 'builders', `${id}.json`);
  const known = isPinned ? await recall(file) : undefined;
  if (known) return known;
  const described = await ask(request, await open());
  if (isPinned) {
    await prepareStore(store);
    await mkdir(dirname(file), { recursive: true });
    await replaceFile(file, JSON.stringify(described), { mode: 0o600 });
  }
  if (!isPinned && described.image !== image) step(`${image} is ${described.image}`);
  return described;
}

/** What this program says, or the one in the Pod. */
const UNSUITABLE: ClusterErrorCode = 'CLUSTER_UNSUITABLE';

/** Asks with the strongest confinement first, in which trees can be mounted, and says when there is only a weaker one. */
async function ask(request: BuilderRequest, cluster: Cluster): Promise<DescribedBuilder> {
  const { executor, step } = request;
  if (executor.privileges) return await askConfined(request, cluster, executor.privileges);
  try {
    const described = await askConfined(request, cluster, 'userNamespace');
    step('Pods are confined by user namespaces');
    return described;
  } catch (error) {
    const [finding] = findingsOf(error);
    if (finding?.tags?.code !== UNSUITABLE) throw error;
    step(`Pods have default capabilities and cannot mount: ${finding.message.split('\n')[0]}`);
    return await askConfined(request, cluster, 'none');
  }
}

async function askConfined(
  { executor, question, step, signal }: BuilderRequest,
  cluster: Cluster,
  privileges: Privileges,
): Promise<DescribedBuilder> {
  const { image } = executor;
  if (privileges === 'userNamespace') await requireUserNamespaces(cluster);
  // What a tag stands for now may be something else in a minute: then nobody else's answer will do.
  const isPinned = splitImage(image).digest !== undefined;
  const id = { image, privileges, question, version, ...(!isPinned && { caller: cluster.caller }) };
  const name = `ib-builder-${hashOf(id).slice(0, 40)}`;
  const description = { name, component: 'builder', annotations: {}, executor, image };
  const pod = await runJob(
    cluster,
    {
      name,
      manifest: () => builderJob(description, JSON.stringify(question), privileges),
      container: 'describe',
      whenEarlier: async () => 'ask',
      onEvent: (event) => {
        if (event.type === 'step') step(event.message);
      },
    },
    signal,
  );
  const builder = pod && builderIn(pod);
  if (!builder)
    throw new ClusterError('BUILDER_UNSUITABLE', `${image} does not say which tools it has`, {
      hint: 'use the builder image of this version of Image Builder',
    });
  const ran = pod.status?.containerStatuses?.[0]?.imageID;
  return { builder, image: pinnedImage(image, ran), privileges };
}

/** The first minor version of Kubernetes 1 that takes `hostUsers: false` without a feature gate. */
const USER_NAMESPACES_SINCE = 33;

async function requireUserNamespaces({ api }: Cluster): Promise<void> {
  const { major = '', minor = '' } = await api
    .request<{ major?: string; minor?: string }>({ method: 'GET', path: '/version' })
    .catch((error: unknown) => {
      throw error instanceof ApiError ? error.toClusterError('to tell its version') : error;
    });
  if (Number(major) > 1 || Number.parseInt(minor, 10) >= USER_NAMESPACES_SINCE) return;
  throw new ClusterError(
    'CLUSTER_UNSUITABLE',
    `the cluster has Kubernetes ${major}.${minor}, and user namespaces need 1.${USER_NAMESPACES_SINCE}`,
    { hint: 'set spec.build.executor.kubernetes.privileges to none, or update the cluster' },
  );
}

/** The image by the digest under which the node has pulled it. */
export function pinnedImage(image: string, ran: string | undefined): string {
  const { repository, digest } = splitImage(image);
  const pulled = /@(sha256:[0-9a-f]{64})$/.exec(ran ?? '')?.[1];
  return digest === undefined && pulled !== undefined ? `${repository}@${pulled}` : image;
}

async function recall(file: string): Promise<DescribedBuilder | undefined> {
  try {
    const known: unknown = JSON.parse(await readFile(file, 'utf8'));
    return isRecord(known) && isRecord(known.builder) ? (known as unknown as DescribedBuilder) : undefined;
  } catch {
    return undefined;
  }
}

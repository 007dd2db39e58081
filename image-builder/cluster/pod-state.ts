// What the status of a Pod says about the work in it, in words for people. Pure.
import type { V1ContainerStatus, V1Pod } from '@kubernetes/client-node';
import { ClusterError } from './cluster-error.ts';

/** A Pod that waits for something which may come: capacity, an image that is slow, a volume. */
export interface Delay {
  /** `no node has room: 0/3 nodes are available: 3 Insufficient memory.` */
  message: string;
  /** What it becomes when it lasts longer than `seconds`; absent: as long as the Job may take. */
  error?: { error: ClusterError; seconds: number };
}

/** What a Pod waits for before its containers run; undefined when nothing is wrong with it. */
export function delayOf(pod: V1Pod): Delay | undefined {
  const unscheduled = pod.status?.conditions?.find(
    ({ type, status }) => type === 'PodScheduled' && status === 'False',
  );
  if (unscheduled?.reason === 'Unschedulable') return unschedulable(unscheduled.message ?? '');
  for (const { state, name, image } of containerStatuses(pod)) {
    const { reason = '', message = '' } = state?.waiting ?? {};
    if (reason === 'ErrImagePull' || reason === 'ImagePullBackOff')
      return notStarted(`the image ${image} cannot be pulled: ${message || reason}`, IMAGE_HINT, 30);
    if (HOPELESS.has(reason))
      return notStarted(`the container ${name} cannot start: ${message || reason}`, '', 0);
    // It is tried again by the kubelet; a configuration may appear.
    if (reason.startsWith('Create') && reason.endsWith('Error'))
      return notStarted(`the container ${name} cannot be made: ${message || reason}`, SECRET_HINT, 20);
  }
  return undefined;
}

const IMAGE_HINT =
  'check spec.build.executor.kubernetes.image, imagePullSecrets, and that the node reaches the registry';
const SECRET_HINT = 'check that the Secrets that the executor names exist in its namespace';

/** Reasons that no patience helps with. */
const HOPELESS: ReadonlySet<string> = new Set(['InvalidImageName', 'ErrImageNeverPull']);

/** Seconds after which nodes that do not fit are not waited for: one may be on its way. */
const NODE_PATIENCE = 60;

function unschedulable(message: string): Delay {
  const text = `no node takes the Pod: ${message}`;
  // Others give their room back.
  if (/Insufficient|Too many pods/.test(message)) return { message: text };
  const hint = 'check nodeSelector, tolerations, storage and resources of spec.build.executor.kubernetes';
  return {
    message: text,
    error: { error: new ClusterError('POD_UNSCHEDULABLE', text, { hint }), seconds: NODE_PATIENCE },
  };
}

function notStarted(message: string, hint: string, seconds: number): Delay {
  const error = new ClusterError('POD_NOT_STARTED', message, hint ? { hint } : {});
  return { message, error: { error, seconds } };
}

/** How a Pod has failed. */
export interface PodFailure {
  /** Its name, and that of the container that has ended it. */
  pod: string;
  container: string;
  /** What the program left as its last words: the termination message of the container that failed. */
  message?: string;
  /** What the cluster says; absent when the program has ended by itself, with a word. */
  error?: ClusterError;
}

/** Why a Pod has failed; undefined when it has not. */
export function failureOf(pod: V1Pod): PodFailure | undefined {
  const { phase, reason = '', message = '' } = pod.status ?? {};
  if (phase !== 'Failed') return undefined;
  const name = pod.metadata?.name ?? '';
  const ended = containerStatuses(pod).find(({ state }) => (state?.terminated?.exitCode ?? 0) !== 0);
  const terminated = ended?.state?.terminated;
  const where = { pod: name, container: ended?.name ?? '' };
  if (terminated?.reason === 'OOMKilled') return { ...where, error: outOfMemory(pod, where.container) };
  if (reason === 'Evicted' || disrupted(pod))
    return { ...where, error: evicted(name, message || disrupted(pod) || reason) };
  if (terminated?.message) return { ...where, message: terminated.message };
  const how = terminated
    ? `its container ${ended?.name} ended with exit status ${terminated.exitCode}${terminated.reason ? ` (${terminated.reason})` : ''}`
    : message || reason || 'for no reason that the cluster tells';
  const hint =
    terminated?.exitCode === 137
      ? 'it was killed: by somebody, or because memory ran out; set resources.limits.memory higher'
      : terminated && NO_PROGRAM.has(terminated.exitCode)
        ? 'is this a builder image, and for the architecture of the node?'
        : undefined;
  const text = `the Pod ${name} has failed: ${how}`;
  return { ...where, error: new ClusterError('JOB_FAILED', text, hint === undefined ? {} : { hint }) };
}

/** Exit statuses of a container whose program could not be started. */
const NO_PROGRAM: ReadonlySet<number> = new Set([126, 127, 128, 255]);

function outOfMemory(pod: V1Pod, container: string): ClusterError {
  const all = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
  const limit = all.find(({ name }) => name === container)?.resources?.limits?.memory;
  const text = `the Pod ${pod.metadata?.name} ran out of memory${limit ? ` (limit ${limit})` : ''}`;
  return new ClusterError('POD_OUT_OF_MEMORY', text, {
    hint: 'raise spec.build.executor.kubernetes.resources.limits.memory',
  });
}

function evicted(name: string, why: string): ClusterError {
  const isStorage = /ephemeral|EmptyDir|storage|disk/i.test(why);
  return new ClusterError('POD_EVICTED', `the Pod ${name} was evicted: ${why}`, {
    hint: isStorage
      ? 'give the build more room: spec.build.executor.kubernetes.storage'
      : 'the node was drained, or short of something; the same build goes on where it was',
  });
}

/** Why the cluster has put the Pod out. */
function disrupted(pod: V1Pod): string | undefined {
  const condition = pod.status?.conditions?.find(
    ({ type, status }) => type === 'DisruptionTarget' && status === 'True',
  );
  return condition && (condition.message || condition.reason || 'disrupted');
}

/** Statuses of all containers, in the order in which they run. */
export function containerStatuses({ status }: V1Pod): V1ContainerStatus[] {
  return [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
}

/** Whether a container runs, has ended, or neither. */
export function containerPhase(pod: V1Pod, container: string): 'waiting' | 'running' | 'ended' {
  const state = containerStatuses(pod).find(({ name }) => name === container)?.state;
  if (state?.terminated) return 'ended';
  if (state?.running) return 'running';
  const { phase } = pod.status ?? {};
  return phase === 'Failed' || phase === 'Succeeded' ? 'ended' : 'waiting';
}

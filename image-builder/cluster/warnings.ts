// Warnings that a cluster sends about Jobs and Pods, as what they mean for whoever waits. Pure.
import { ClusterError } from './cluster-error.ts';
import type { Delay } from './pod-state.ts';

/** Seconds for which something may still appear, or be made again. */
const PATIENCE = 30;

/**
 * @param reason of the event: `FailedCreate`, `FailedMount`, ...
 * @returns undefined for what the state of the Pod tells better, or tells nothing to a user
 */
export function delayOfWarning(reason: string, message: string): Delay | undefined {
  switch (reason) {
    case 'FailedCreate':
      return ofCreation(message);
    case 'FailedMount':
    case 'FailedAttachVolume':
      return notStarted(
        `a volume of the Pod cannot be mounted: ${message}`,
        'check that the Secrets and the claim that the executor names exist in its namespace',
      );
    case 'FailedCreatePodSandBox':
      return /user ?namespaces?|idmap|hostUsers/i.test(message) ? unsuitable(message) : undefined;
    default:
      return undefined;
  }
}

/** The Job's controller could not make a Pod. */
function ofCreation(message: string): Delay {
  // Other Pods end.
  if (/exceeded quota/.test(message))
    return { message: `no Pod can be made for now: ${message.replace(/pods "[^"]+"/, 'a Pod')}` };
  if (/PodSecurity|hostUsers|procMount/.test(message)) return unsuitable(message);
  return notStarted(
    `no Pod can be made: ${message}`,
    'check serviceAccountName, limits and quotas of the namespace',
  );
}

function unsuitable(message: string): Delay {
  const text = `the cluster does not let Pods run like that: ${message}`;
  const error = new ClusterError('CLUSTER_UNSUITABLE', text, {
    hint: 'set spec.build.executor.kubernetes.privileges to what the namespace and its nodes allow; docs/how-to/build-in-kubernetes.md has the table',
  });
  return { message: text, error: { error, seconds: 0 } };
}

function notStarted(message: string, hint: string): Delay {
  return {
    message,
    error: { error: new ClusterError('POD_NOT_STARTED', message, { hint }), seconds: PATIENCE },
  };
}

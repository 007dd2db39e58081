// What the status of a Job says (https://kubernetes.io/docs/concepts/workloads/controllers/job/#terminal-job-conditions).
import type { V1Job } from '@kubernetes/client-node';

/** How a Job has ended. */
export interface JobCondition {
  /** `Complete` or `Failed`. */
  type: string;
  reason?: string;
  message?: string;
}

/** @returns undefined for a Job that has not ended */
export function conditionOf({ status }: V1Job): JobCondition | undefined {
  return status?.conditions?.find(
    ({ type, status }) => status === 'True' && (type === 'Complete' || type === 'Failed'),
  );
}

// What can go wrong between this program, the API server of a cluster and the Pods there.
import { ImageBuilderError } from '../base/diagnostics/error.ts';

export type ClusterErrorCode =
  /** There is no kubeconfig, it cannot be read, or it has no such context. */
  | 'KUBECONFIG_UNUSABLE'
  /** The API server does not answer. */
  | 'CLUSTER_UNREACHABLE'
  /** The API server does not know who asks: a token or certificate has expired. */
  | 'CLUSTER_UNAUTHORIZED'
  /** A Role lacks a rule; the message says which. */
  | 'CLUSTER_FORBIDDEN'
  /** The API server does not take an object: a namespace that is not there, a quota, an admission controller. */
  | 'CLUSTER_REFUSED'
  /** The cluster cannot confine Pods as the spec wants. */
  | 'CLUSTER_UNSUITABLE'
  /** No node takes the Pod. */
  | 'POD_UNSCHEDULABLE'
  /** The Pod cannot start: an image that cannot be pulled, a Secret or a claim that is not there. */
  | 'POD_NOT_STARTED'
  /** The Pod needed more memory than it may use. */
  | 'POD_OUT_OF_MEMORY'
  /** The node has put the Pod out, or the Pod has filled its storage. */
  | 'POD_EVICTED'
  /** The Job has failed without a word of the program in it. */
  | 'JOB_FAILED'
  /** The Job did not end in time. */
  | 'JOB_TIMED_OUT'
  /** Somebody has deleted the Job. */
  | 'JOB_DELETED'
  /** The builder image is none, or that of another version. */
  | 'BUILDER_UNSUITABLE';

/** A cluster cannot do what was asked of it. */
export class ClusterError extends ImageBuilderError<ClusterErrorCode> {}

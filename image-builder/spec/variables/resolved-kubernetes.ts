// `spec.build.kubernetes`: a Kubernetes node, and the container images that its disks carry.

/** A Kubernetes node, `spec.build.kubernetes`; what it consists of is among the variables. */
export interface ResolvedKubernetes {
  /** As it was asked for: `1.37`, `1.37.2` or `1.37.2-1.1`. */
  version: string;
  /** Day (YYYY-MM-DD) after which nobody fixes this minor version any more. */
  endOfLife?: string;
}

/** What an image reference stands for. */
export interface PinnedImage {
  /** As it is asked for, with its registry. */
  reference: string;
  /** `sha256:<hex>` of its manifest or index. */
  digest: string;
}

/** The container images that disks carry (`spec.build.kubernetes.preload`). */
export interface ResolvedPreload {
  /** References, and `default`, as they were asked for. */
  requested: string[];
  /** Version of the kubeadm that `default` is about; absent without it, and while it is not known: before a lock is made. */
  release?: string;
  /** Registry and path of the images of `default`, where they are not those that kubeadm takes by itself. */
  imageRepository?: string;
  /** Base URLs that are asked before a registry, by its name. */
  mirrors: Record<string, string[]>;
  /** Sorted by their references; absent until somebody has asked the registries. */
  images?: PinnedImage[];
}

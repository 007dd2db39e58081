// Which Kubernetes is in an image: what is installed, and beside it what was asked for. Pure.
import { kubernetesVersion } from '../../bundle/profile/kubernetes-version.ts';
import { KUBERNETES_PACKAGES } from '../../spec/variables/kubernetes.ts';
import type { ResolvedMultistrap } from '../../spec/variables/resolved-multistrap.ts';
import type { InstalledPackages } from '../rootfs/rootfs-entry.ts';

/** Versions as Kubernetes writes them: `v1.34.2`. */
export interface KubernetesFacts {
  /** Of the installed packages; absent when none of them tells, for example because a script has fetched Kubernetes. */
  version?: string;
  /** `k8s_version`. */
  requested?: string;
}

/** Undefined for an image that has nothing to do with Kubernetes. */
export function kubernetesOf(
  { k8s_version: requested }: Pick<ResolvedMultistrap, 'k8s_version'>,
  packages: InstalledPackages,
): KubernetesFacts | undefined {
  const named = KUBERNETES_PACKAGES.map((name) => packages[name]?.version);
  // Distributions of Kubernetes have packages of their own names, which are asked for by the version.
  const same = Object.values(packages).map(({ version }) => (version === requested ? version : undefined));
  const [version] = [...named, ...same].flatMap((installed) =>
    installed === undefined ? [] : (kubernetesVersion(installed) ?? []),
  );
  if (version === undefined && requested === undefined) return undefined;
  return {
    ...(version !== undefined && { version }),
    ...(requested !== undefined && { requested: kubernetesVersion(requested) ?? requested }),
  };
}

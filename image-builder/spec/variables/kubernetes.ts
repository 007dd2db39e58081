// Whether a build that names a version of Kubernetes has Kubernetes in it: cluster management believes the catalogue.
import type { Finding } from '../../base/diagnostics/error.ts';
import type { ResolvedBuild } from './resolved.ts';

/** Packages whose version is the version of Kubernetes, the most telling first; the last is Debian's own kubectl. */
export const KUBERNETES_PACKAGES = ['kubelet', 'kubeadm', 'kubectl', 'kubernetes-client'] as const;

/** The name of a package as apt is asked for it: `kubelet=1.34.2-1.1`, `kubelet:amd64`, `kubelet/stable`. */
const nameOf = (requested: string) => requested.replace(/[:=/].*/, '');

/**
 * What is wrong when `k8s_version` is set and nothing of the build carries it: neither a package of Kubernetes, nor a
 * package of that version, nor a download or script that names it.
 */
export function checkKubernetes({ rootfs, qcows }: Pick<ResolvedBuild, 'rootfs' | 'qcows'>): Finding[] {
  const { k8s_version: version, packages, repos } = rootfs.multistrap;
  if (version === undefined) return [];
  const requested = [...packages, ...repos.flatMap((repository) => repository.packages)];
  const names: readonly string[] = KUBERNETES_PACKAGES;
  const carries = (name: string) => names.includes(nameOf(name)) || name.endsWith(`=${version}`);
  // 1.34.2 of 1.34.2-1.1: upstream's downloads have no revision.
  const upstream = version.replace(/-.*/, '');
  const images = [rootfs, ...Object.values(qcows)];
  const texts = images.flatMap(({ osconfig, scripts }) => [
    ...osconfig.fetch_from_url.map(({ url }) => url),
    ...osconfig.user_scripts.map(({ file_content }) => file_content),
    ...scripts.map(({ content }) => content),
  ]);
  if (requested.some(carries) || texts.some((text) => text?.includes(upstream))) return [];
  return [
    {
      severity: 'error',
      field: 'spec.build.rootfs.multistrap.k8s_version',
      message: `is ${version}, but nothing in the build uses it: expected a package ${names.slice(0, 3).join(', ')} or one of that version\nhint: ${wayOut(version)}`,
    },
  ];
}

function wayOut(version: string): string {
  const minor = /^v?(\d+\.\d+)/.exec(version)?.[1] ?? '1.34';
  const source = `https://pkgs.k8s.io/core:/stable:/v${minor}/deb`;
  const packages = ['kubelet', 'kubeadm', 'kubectl'].map((name) => `"${name}={{ k8s_version }}"`);
  return `add the repository of Kubernetes: repos_append: [{name: kubernetes, source: "${source}", suite: /, keyring_url: "${source}/Release.key", packages: [${packages.join(', ')}]}], as the profiles k8s-* of Image Builder do (profile: k8s-${minor}, if there is one); or name the package in packages_append; or omit k8s_version`;
}

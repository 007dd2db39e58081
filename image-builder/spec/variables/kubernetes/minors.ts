// What is known of each minor version of Kubernetes.

/** A version as a spec names it: `1.37` (the newest of that minor), `1.37.2`, or `1.37.2-1.1` with the package's revision. */
export interface KubernetesVersion {
  /** As it is written, without a `v`. */
  text: string;
  /** `1.37` */
  minor: string;
  /** 37 */
  number: number;
}

/** Facts of a minor version (https://kubernetes.io/releases/, cmd/kubeadm/app/constants of its sources). */
interface Minor {
  /** Day (YYYY-MM-DD) after which nobody fixes it any more. */
  endOfLife: string;
  /** Tag of the image pause that its kubeadm names. */
  pause: string;
  /** The same of etcd, of its newest release: other releases may name another. */
  etcd: string;
  /** The same of coredns. */
  coredns: string;
}

/** By the number after `1.`. */
const MINORS: Readonly<Record<number, Minor>> = {
  32: { endOfLife: '2026-02-28', pause: '3.10', etcd: '3.5.24-0', coredns: 'v1.11.3' },
  33: { endOfLife: '2026-06-28', pause: '3.10', etcd: '3.5.24-0', coredns: 'v1.12.0' },
  34: { endOfLife: '2026-10-27', pause: '3.10.1', etcd: '3.6.5-0', coredns: 'v1.12.1' },
  35: { endOfLife: '2027-02-28', pause: '3.10.1', etcd: '3.6.6-0', coredns: 'v1.13.1' },
  36: { endOfLife: '2027-06-28', pause: '3.10.2', etcd: '3.6.8-0', coredns: 'v1.14.2' },
  37: { endOfLife: '2027-10-28', pause: '3.10.2', etcd: '3.7.0-0', coredns: 'v1.14.6' },
};

/** The oldest that {@link MINORS} has; what an older one needs is not known here. */
export const OLDEST_MINOR = 32;

/** From this one on the kubelet wants containerd 2 or newer. */
export const CONTAINERD_2_SINCE = 36;

/** From this one on the kubelet refuses cgroup v1 unless its configuration says `failCgroupV1: false`. */
export const CGROUP_V2_SINCE = 35;

const VERSION = /^v?(1\.(\d{1,3})(?:\.\d{1,3}(?:-.+)?)?)$/;

/** Undefined for what is no version of Kubernetes 1. */
export function parseVersion(text: string): KubernetesVersion | undefined {
  const [, version, number] = VERSION.exec(text) ?? [];
  return version === undefined || number === undefined
    ? undefined
    : { text: version, minor: `1.${number}`, number: Number(number) };
}

/** The version that apt is asked for: a minor or a release stand for the newest package of it. */
export function packageVersion({ text }: KubernetesVersion): string {
  if (text.includes('-')) return text;
  return text.split('.').length === 2 ? `${text}.*` : `${text}-*`;
}

/** Undefined for a minor that was released after this program. */
export const endOfLifeOf = ({ number }: KubernetesVersion): string | undefined => MINORS[number]?.endOfLife;

/** Where kubeadm takes its images from unless its configuration says something else. */
const IMAGE_REPOSITORY = 'registry.k8s.io';

/** The image that holds a Pod's namespaces; of an unknown minor that of the newest known one. */
export function sandboxImageOf({ number }: KubernetesVersion, repository = IMAGE_REPOSITORY): string {
  const newest = Math.max(...Object.keys(MINORS).map(Number));
  return `${repository}/pause:${(MINORS[number] ?? MINORS[newest])?.pause}`;
}

/** Programs of a control plane, and of every node, whose images have the version of Kubernetes. */
const VERSIONED_IMAGES = ['kube-apiserver', 'kube-controller-manager', 'kube-proxy', 'kube-scheduler'];

/**
 * The images that kubeadm of a release names; undefined for a minor that was released after this program.
 * @param release of the packages, `1.37.2` or `1.37.2-1.1`
 * @param repository `imageRepository` of kubeadm's configuration
 */
export function kubeadmImagesOf(release: string, repository = IMAGE_REPOSITORY): string[] | undefined {
  const version = parseVersion(release);
  const minor = version && MINORS[version.number];
  if (version === undefined || minor === undefined) return undefined;
  const tag = `v${version.text.replace(/-.*/, '')}`;
  return [
    ...VERSIONED_IMAGES.map((name) => `${repository}/${name}:${tag}`),
    // It has a directory of its own in the one repository only (GetDNSImage of cmd/kubeadm/app/images).
    `${repository}/${repository === IMAGE_REPOSITORY ? 'coredns/coredns' : 'coredns'}:${minor.coredns}`,
    `${repository}/etcd:${minor.etcd}`,
    `${repository}/pause:${minor.pause}`,
  ];
}

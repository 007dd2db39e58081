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
  /** Tag of the image registry.k8s.io/pause that its kubeadm names. */
  pause: string;
}

/** By the number after `1.`. */
const MINORS: Readonly<Record<number, Minor>> = {
  32: { endOfLife: '2026-02-28', pause: '3.10' },
  33: { endOfLife: '2026-06-28', pause: '3.10' },
  34: { endOfLife: '2026-10-27', pause: '3.10.1' },
  35: { endOfLife: '2027-02-28', pause: '3.10.1' },
  36: { endOfLife: '2027-06-28', pause: '3.10.2' },
  37: { endOfLife: '2027-10-28', pause: '3.10.2' },
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

/** The image that holds a Pod's namespaces; of an unknown minor that of the newest known one. */
export function sandboxImageOf({ number }: KubernetesVersion): string {
  const newest = Math.max(...Object.keys(MINORS).map(Number));
  return `registry.k8s.io/pause:${(MINORS[number] ?? MINORS[newest])?.pause}`;
}

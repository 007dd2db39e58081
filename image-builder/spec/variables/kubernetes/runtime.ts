// Which package brings the container runtime of a node, and from where. Pure.
import type { Repository } from '../../api/types.ts';
import type { DistributionData } from '../distribution.ts';
import { nameOfRequest } from '../package-names.ts';
import { CONTAINERD_2_SINCE, type KubernetesVersion } from './minors.ts';

/** Packages that bring containerd; each conflicts with the other. */
const PACKAGES = ['containerd', 'containerd.io'];

/** Packages that bring another runtime with a CRI socket: kubeadm refuses to choose between two. */
const OTHERS = ['cri-o', 'cri-dockerd'];

/** What is asked for of runtimes that nothing here configures. */
export const otherRuntimes = (requests: readonly string[]): string[] => [
  ...new Set(requests.map(nameOfRequest).filter((name) => OTHERS.includes(name))),
];

/** Whether a package brings a container runtime. */
export const isRuntime = (name: string): boolean => PACKAGES.includes(name);

export interface Runtime {
  /** As apt is asked for it. */
  package: string;
  /** Where it comes from when none of the build's repositories has it. */
  repository?: Repository;
}

/** What is asked for of a runtime, without the default list of the distribution. */
export const requestedRuntimes = (requests: readonly string[]): string[] => [
  ...new Set(requests.filter((request) => PACKAGES.includes(nameOfRequest(request)))),
];

/** The first runtime that somebody has asked for, else the distribution's where it is new enough, else Docker's. */
export function chooseRuntime(
  { number }: KubernetesVersion,
  distribution: DistributionData,
  [requested]: readonly string[],
): Runtime {
  if (requested !== undefined) return { package: requested };
  const major = majorOf(distribution.containerd);
  const isEnough = number < CONTAINERD_2_SINCE || (major !== undefined && major >= 2);
  return isEnough
    ? { package: 'containerd' }
    : { package: 'containerd.io', repository: dockerRepository(distribution) };
}

/** https://docs.docker.com/engine/install/debian/ */
function dockerRepository({ family, codename }: DistributionData): Repository {
  const source = `https://download.docker.com/linux/${family}`;
  return { name: 'docker', source, suite: codename, components: 'stable', keyring_url: `${source}/gpg` };
}

/**
 * Why a runtime that is asked for cannot work with this version of Kubernetes; undefined when that cannot be told before
 * its repository is read.
 */
export function runtimeProblem(
  { number, text }: KubernetesVersion,
  distribution: DistributionData,
  request: string,
): string | undefined {
  if (number < CONTAINERD_2_SINCE) return undefined;
  const version = /=(?:\d+:)?(.*)$/.exec(request)?.[1];
  const isDistributions = request.replace(/:.*/, '') === 'containerd';
  const known = version ?? (isDistributions ? distribution.containerd : undefined);
  const major = majorOf(known);
  if (major === undefined || major >= 2) return undefined;
  return `is ${request}, containerd ${known}, but Kubernetes from 1.${CONTAINERD_2_SINCE} on (here ${text}) needs containerd 2 or newer\nhint: leave it out, and containerd.io comes from download.docker.com; or name a newer one and its repository`;
}

/** 1 of `1.7.24~ds1-6` and of `1.7` */
const majorOf = (version: string | undefined): number | undefined => {
  const [, major] = /^(\d+)\./.exec(version ?? '') ?? [];
  return major === undefined ? undefined : Number(major);
};

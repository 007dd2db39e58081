// Which package brings the container runtime of a node, and from where. Pure.
import type { Repository } from '../../api/types.ts';
import type { DistributionData } from '../distribution.ts';
import { nameOfRequest } from '../package-names.ts';
import { CONTAINERD_2_SINCE, type KubernetesVersion } from './minors.ts';

/** A runtime that spec.build.kubernetes installs and configures. */
export type RuntimeName = 'containerd' | 'cri-o';

/** Packages that bring each; those of one conflict with each other. */
const PACKAGES: Readonly<Record<RuntimeName, readonly string[]>> = {
  containerd: ['containerd', 'containerd.io'],
  'cri-o': ['cri-o'],
};

/** Packages that bring a CRI socket which nothing here configures. */
const UNCONFIGURED = ['cri-dockerd'];

/** What is asked for of other runtimes than this one: kubeadm refuses to choose between two sockets. */
export function otherRuntimes(runtime: RuntimeName, requests: readonly string[]): string[] {
  const own = PACKAGES[runtime];
  const others = [...Object.values(PACKAGES).flat(), ...UNCONFIGURED].filter((name) => !own.includes(name));
  return [...new Set(requests.map(nameOfRequest).filter((name) => others.includes(name)))];
}

/** The runtime that a package brings; undefined for every other package. */
export const runtimeOf = (name: string): RuntimeName | undefined =>
  (Object.keys(PACKAGES) as RuntimeName[]).find((runtime) => PACKAGES[runtime].includes(name));

export interface Runtime {
  name: RuntimeName;
  /** As apt is asked for it. */
  package: string;
  /** Where it comes from when none of the build's repositories has it. */
  repository?: Repository;
}

/** What is asked for of a runtime, without the default list of the distribution. */
export const requestedPackages = (runtime: RuntimeName, requests: readonly string[]): string[] => [
  ...new Set(requests.filter((request) => PACKAGES[runtime].includes(nameOfRequest(request)))),
];

/**
 * The first package of the runtime that somebody has asked for. Otherwise CRI-O comes from its makers, and containerd from the
 * distribution where that is new enough, else from Docker.
 * @param requested packages of this runtime
 */
export function chooseRuntime(
  name: RuntimeName,
  version: KubernetesVersion,
  distribution: DistributionData,
  [requested]: readonly string[],
): Runtime {
  if (requested !== undefined) return { name, package: requested };
  if (name === 'cri-o')
    return { name, package: `cri-o=${version.minor}.*`, repository: crioRepository(version) };
  const major = majorOf(distribution.containerd);
  const isEnough = version.number < CONTAINERD_2_SINCE || (major !== undefined && major >= 2);
  return isEnough
    ? { name, package: 'containerd' }
    : { name, package: 'containerd.io', repository: dockerRepository(distribution) };
}

/** https://docs.docker.com/engine/install/debian/ */
function dockerRepository({ family, codename }: DistributionData): Repository {
  const source = `https://download.docker.com/linux/${family}`;
  return { name: 'docker', source, suite: codename, components: 'stable', keyring_url: `${source}/gpg` };
}

/** One for each minor version, for all distributions; until 1.32 it was below pkgs.k8s.io (https://github.com/cri-o/packaging). */
function crioRepository({ minor }: KubernetesVersion): Repository {
  const source = `https://download.opensuse.org/repositories/isv:/cri-o:/stable:/v${minor}/deb`;
  return { name: 'cri-o', source, suite: '/', keyring_url: `${source}/Release.key` };
}

/**
 * Why a package of a runtime that is asked for cannot work with this version of Kubernetes; undefined when that cannot be told
 * before its repository is read.
 */
export function runtimeProblem(
  kubernetes: KubernetesVersion,
  distribution: DistributionData,
  request: string,
): string | undefined {
  const version = /=(?:\d+:)?(.*)$/.exec(request)?.[1];
  return runtimeOf(nameOfRequest(request)) === 'cri-o'
    ? crioProblem(kubernetes, request, version)
    : containerdProblem(kubernetes, distribution, request, version);
}

function containerdProblem(
  { number, text }: KubernetesVersion,
  distribution: DistributionData,
  request: string,
  version: string | undefined,
): string | undefined {
  if (number < CONTAINERD_2_SINCE) return undefined;
  const isDistributions = request.replace(/:.*/, '') === 'containerd';
  const known = version ?? (isDistributions ? distribution.containerd : undefined);
  const major = majorOf(known);
  if (major === undefined || major >= 2) return undefined;
  return `is ${request}, containerd ${known}, but Kubernetes from 1.${CONTAINERD_2_SINCE} on (here ${text}) needs containerd 2 or newer\nhint: leave it out, and containerd.io comes from download.docker.com; or name a newer one and its repository`;
}

/**
 * CRI-O 1.x is made for Kubernetes 1.x (https://github.com/cri-o/cri-o#compatibility-matrix-cri-o--kubernetes): the skew that
 * Kubernetes permits between its own components is none between the kubelet and CRI-O. True for a version that tells no minor.
 */
export function isCrioOf({ number }: KubernetesVersion, version: string): boolean {
  const [, minor] = /^(?:\d+:)?1\.(\d+)(?:\D|$)/.exec(version) ?? [];
  return minor === undefined || Number(minor) === number;
}

function crioProblem(kubernetes: KubernetesVersion, request: string, version: string | undefined) {
  if (version === undefined || isCrioOf(kubernetes, version)) return undefined;
  return `is ${request}, but Kubernetes ${kubernetes.text} needs CRI-O of the same minor version, ${kubernetes.minor}\nhint: cri-o=${kubernetes.minor}.*; or leave it out, and it comes from download.opensuse.org`;
}

/** 1 of `1.7.24~ds1-6` and of `1.7` */
const majorOf = (version: string | undefined): number | undefined => {
  const [, major] = /^(\d+)\./.exec(version ?? '') ?? [];
  return major === undefined ? undefined : Number(major);
};

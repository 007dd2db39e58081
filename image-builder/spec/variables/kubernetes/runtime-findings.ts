// What is wrong with the container runtime that somebody has asked for. Pure.
import type { Finding } from '../../../base/diagnostics/error.ts';
import type { DistributionData } from '../distribution.ts';
import { type Origins, originOf } from '../origins.ts';
import { nameOfRequest } from '../package-names.ts';
import type { KubernetesVersion } from './minors.ts';
import { otherRuntimes, type RuntimeName, requestedPackages, runtimeOf, runtimeProblem } from './runtime.ts';

/**
 * @param runtime that of the block
 * @param requests every package that somebody has asked for
 */
export function checkRuntimes(
  runtime: RuntimeName,
  requests: readonly string[],
  version: KubernetesVersion,
  distribution: DistributionData,
  { packages }: Origins,
): Finding[] {
  const fieldOf = (name: string) => originOf(packages, name) ?? 'spec.build.rootfs.multistrap.packages';
  const error = (name: string, message: string): Finding => ({
    severity: 'error',
    field: fieldOf(name),
    message,
  });
  const own = requestedPackages(runtime, requests);
  const [first, second] = [...new Set(own.map(nameOfRequest))];
  return [
    ...(first !== undefined && second !== undefined
      ? [
          error(
            second,
            `asks for ${second}, and ${fieldOf(first)} for ${first}; expected one container runtime`,
          ),
        ]
      : []),
    ...own.flatMap((request) => {
      const problem = runtimeProblem(version, distribution, request);
      return problem === undefined ? [] : [error(nameOfRequest(request), problem)];
    }),
    ...otherRuntimes(runtime, requests).map((name) => error(name, besides(runtime, name))),
  ];
}

function besides(runtime: RuntimeName, name: string): string {
  const brought = runtimeOf(name);
  const wayOut = brought
    ? `say kubernetes: {runtime: ${brought}}`
    : 'write the node without spec.build.kubernetes (docs/how-to/kubernetes-nodes.md, "Another runtime")';
  return `asks for ${name}, and spec.build.kubernetes installs and configures ${runtime}; kubeadm refuses a node with two runtimes\nhint: leave it out, or ${wayOut}`;
}

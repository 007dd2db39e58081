// The programs of a Kubernetes control plane, which are no Debian packages: from directories that the caller names, or PATH.
import { resolve } from 'node:path';
import type { Env } from '../base/env.ts';
import { findExecutable, toolPath } from './environment.ts';

const PROGRAMS = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kubeadm', 'kubectl'] as const;

/** Their files by name. */
export type ControlPlanePrograms = Record<(typeof PROGRAMS)[number], string>;

/** The directories where they are looked for: first those that the caller has named, as PATH names them. A spec names none. */
export function controlPlanePath({ IMAGE_BUILDER_CONTROL_PLANE: named = '', PATH }: Env): string[] {
  const directories = named.split(':').filter(Boolean);
  return [...directories.map((directory) => resolve(directory)), ...toolPath(PATH)];
}

/** The programs that are in none of `directories` (default: {@link controlPlanePath} of this process). */
export const missingControlPlanePrograms = (
  directories: readonly string[] = controlPlanePath(process.env),
): string[] => PROGRAMS.filter((name) => findExecutable(name, directories) === undefined);

/** Where to get what is missing. */
export const CONTROL_PLANE_ADVICE =
  'kubernetes-server-linux-*.tar.gz of the Kubernetes release has all but etcd, which has releases of its own: name their directories in IMAGE_BUILDER_CONTROL_PLANE';

/** The programs in `directories`, which has them all (requireTools). */
export const controlPlanePrograms = (directories: readonly string[]): ControlPlanePrograms =>
  Object.fromEntries(
    PROGRAMS.map((name) => [name, findExecutable(name, directories) ?? name]),
  ) as ControlPlanePrograms;

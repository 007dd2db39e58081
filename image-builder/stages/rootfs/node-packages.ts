// Packages that can be installed together and do not work together.
import { CONTAINERD_2_SINCE, parseVersion } from '../../spec/variables/kubernetes/minors.ts';
import { type Origins, originOf } from '../../spec/variables/origins.ts';
import { RootfsError } from './rootfs-error.ts';

/** Packages that bring containerd. */
const CONTAINERD = ['containerd', 'containerd.io'];

/**
 * @param packages what would be installed, before any of it is fetched
 * @throws RootfsError PACKAGES_INCOMPATIBLE for a kubelet that wants a newer containerd than the one beside it
 */
export function checkNodePackages(
  packages: readonly { name: string; version: string }[],
  origins: Origins,
): void {
  const kubelet = packages.find(({ name }) => name === 'kubelet');
  const containerd = packages.find(({ name }) => CONTAINERD.includes(name));
  if (kubelet === undefined || containerd === undefined) return;
  const number = parseVersion(kubelet.version)?.number ?? 0;
  const major = Number(/^(?:\d+:)?(\d+)\./.exec(containerd.version)?.[1] ?? CONTAINERD_2);
  if (number < CONTAINERD_2_SINCE || major >= CONTAINERD_2) return;
  throw new RootfsError(
    'PACKAGES_INCOMPATIBLE',
    `kubelet ${kubelet.version} needs containerd 2 or newer, and the repositories give ${containerd.name} ${containerd.version}`,
    {
      field: originOf(origins.packages, containerd.name) ?? 'spec.build.distribution',
      hint: `name containerd.io and its repository (https://docs.docker.com/engine/install/), as spec.build.kubernetes does; or take Kubernetes 1.${CONTAINERD_2_SINCE - 1}`,
    },
  );
}

const CONTAINERD_2 = 2;

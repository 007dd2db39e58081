// Packages that can be installed together and do not work together.
import { CONTAINERD_2_SINCE, parseVersion } from '../../spec/variables/kubernetes/minors.ts';
import { isCrioOf, runtimeOf } from '../../spec/variables/kubernetes/runtime.ts';
import { type Origins, originOf } from '../../spec/variables/origins.ts';
import { RootfsError } from './rootfs-error.ts';

interface Package {
  name: string;
  version: string;
}

/**
 * @param packages what would be installed, before any of it is fetched
 * @throws RootfsError PACKAGES_INCOMPATIBLE for a kubelet that wants a newer containerd than the one beside it; and for CRI-O of another
 *   minor version, where spec.build.kubernetes installs it: whoever names all packages combines them as they like
 */
export function checkNodePackages(packages: readonly Package[], origins: Origins): void {
  const kubelet = packages.find(({ name }) => name === 'kubelet');
  if (kubelet === undefined) return;
  for (const runtime of packages) {
    const name = runtimeOf(runtime.name);
    if (name === 'containerd') checkContainerd(kubelet, runtime, origins);
    if (name === 'cri-o' && isOfBlock(origins)) checkCrio(kubelet, runtime, origins);
  }
}

function checkContainerd(kubelet: Package, containerd: Package, origins: Origins): void {
  const number = parseVersion(kubelet.version)?.number ?? 0;
  const major = Number(/^(?:\d+:)?(\d+)\./.exec(containerd.version)?.[1] ?? CONTAINERD_2);
  if (number < CONTAINERD_2_SINCE || major >= CONTAINERD_2) return;
  throw incompatible(
    `kubelet ${kubelet.version} needs containerd 2 or newer`,
    containerd,
    origins,
    `name containerd.io and its repository (https://docs.docker.com/engine/install/), as spec.build.kubernetes does; or take Kubernetes 1.${CONTAINERD_2_SINCE - 1}`,
  );
}

const CONTAINERD_2 = 2;

function checkCrio(kubelet: Package, crio: Package, origins: Origins): void {
  const version = parseVersion(kubelet.version);
  if (version === undefined || isCrioOf(version, crio.version)) return;
  throw incompatible(
    `kubelet ${kubelet.version} needs CRI-O of the same minor version`,
    crio,
    origins,
    `name the repository of CRI-O ${version.minor} (https://github.com/cri-o/packaging), or leave it out`,
  );
}

const incompatible = (needs: string, { name, version }: Package, { packages }: Origins, hint: string) =>
  new RootfsError('PACKAGES_INCOMPATIBLE', `${needs}, and the repositories give ${name} ${version}`, {
    field: originOf(packages, name) ?? 'spec.build.distribution',
    hint,
  });

const isOfBlock = ({ packages }: Origins): boolean =>
  Object.values(packages).some((field) => field.startsWith('spec.build.kubernetes.'));

// Packages that can be installed together and do not work together.
import { CONTAINERD_2_SINCE, parseVersion } from '../../spec/variables/kubernetes/minors.ts';
import { isCrioOf, type RuntimeName, runtimeOf } from '../../spec/variables/kubernetes/runtime.ts';
import { type Origins, originOf } from '../../spec/variables/origins.ts';
import { RootfsError } from './rootfs-error.ts';

interface Package {
  name: string;
  version: string;
}

/**
 * @param packages what would be installed, before any of it is fetched
 * @throws RootfsError PACKAGES_INCOMPATIBLE for a kubelet that wants a newer containerd than the one beside it; and where
 *   spec.build.kubernetes installs CRI-O, for another minor version of it, and for a containerd that something depends on: whoever names
 *   all packages combines them as they like
 */
export function checkNodePackages(packages: readonly Package[], origins: Origins): void {
  const kubelet = packages.find(({ name }) => name === 'kubelet');
  if (kubelet === undefined) return;
  const packageOf = (runtime: RuntimeName) => packages.find(({ name }) => runtimeOf(name) === runtime);
  const [containerd, crio] = [packageOf('containerd'), packageOf('cri-o')];
  if (crio && isOfBlock(origins)) {
    checkCrio(kubelet, crio, origins);
    if (containerd) throw twoRuntimes(crio, containerd, origins);
  }
  if (containerd) checkContainerd(kubelet, containerd, origins);
}

function checkContainerd(kubelet: Package, containerd: Package, origins: Origins): void {
  const number = parseVersion(kubelet.version)?.number ?? 0;
  const major = Number(/^(?:\d+:)?(\d+)\./.exec(containerd.version)?.[1] ?? CONTAINERD_2);
  if (number < CONTAINERD_2_SINCE || major >= CONTAINERD_2) return;
  throw incompatible(
    `kubelet ${kubelet.version} needs containerd 2 or newer, and the repositories give`,
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
    `kubelet ${kubelet.version} needs CRI-O of the same minor version, and the repositories give`,
    crio,
    origins,
    `name the repository of CRI-O ${version.minor} (https://github.com/cri-o/packaging), or leave it out`,
  );
}

const twoRuntimes = (crio: Package, containerd: Package, origins: Origins) =>
  incompatible(
    `kubeadm refuses a node with two runtimes, and something beside ${crio.name} needs`,
    containerd,
    origins,
    'leave out the package that depends on it, such as docker-ce; or take runtime: containerd',
    'spec.build.kubernetes.runtime',
  );

/**
 * @param problem what goes before the package
 * @param field where nobody has named the package
 */
const incompatible = (
  problem: string,
  { name, version }: Package,
  { packages }: Origins,
  hint: string,
  field = 'spec.build.distribution',
) =>
  new RootfsError('PACKAGES_INCOMPATIBLE', `${problem} ${name} ${version}`, {
    field: originOf(packages, name) ?? field,
    hint,
  });

const isOfBlock = ({ packages }: Origins): boolean =>
  Object.values(packages).some((field) => field.startsWith('spec.build.kubernetes.'));

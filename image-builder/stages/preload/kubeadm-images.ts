// Asks the kubeadm in a tree which images it needs: another release than those that this program knows may need others.
import { kubernetesVersion } from '../../bundle/profile/kubernetes-version.ts';
import { enterTree } from '../../sandbox/enter-tree.ts';
import type { StageContext } from '../../sandbox/stage-context.ts';
import { hasDefault, preloadReferences } from '../../spec/variables/kubernetes/preload.ts';
import type { ResolvedPreload } from '../../spec/variables/resolved-kubernetes.ts';
import { withChroot } from '../rootfs/chroot.ts';
import type { InstalledPackages } from '../rootfs/rootfs-entry.ts';
import { PreloadError } from './preload-error.ts';

/**
 * Does nothing when a disk that carries the images of kubeadm (`default`) carries all of them.
 * @throws PreloadError PRELOAD_INCOMPLETE, ToolError
 */
export async function requireKubeadmImages(
  preload: ResolvedPreload,
  tree: string,
  packages: InstalledPackages,
  context: StageContext,
): Promise<void> {
  const version = kubernetesVersion(packages.kubeadm?.version ?? '');
  if (!hasDefault(preload) || version === undefined) return;
  const { imageRepository } = preload;
  const command = [
    ...['kubeadm', 'config', 'images', 'list', '--kubernetes-version', version],
    ...(imageRepository === undefined ? [] : ['--image-repository', imageRepository]),
  ];
  const output = await withChroot(tree, enterTree(tree, command), context, {
    confined: { writable: [] },
    env: { HOME: '/root', LC_ALL: 'C' },
    onLine: context.output,
    signal: context.signal,
  });
  const carried = new Set(preloadReferences(preload).map((reference) => reference.replace(/@.*$/, '')));
  const missing = output.split('\n').filter((line) => /^[^\s/]+\/\S+$/.test(line) && !carried.has(line));
  if (missing.length === 0) return;
  throw new PreloadError(
    'PRELOAD_INCOMPLETE',
    `kubeadm ${version} needs ${missing.join(', ')}, which default does not stand for`,
    { hint: `preload: [default, ${missing.join(', ')}]` },
  );
}

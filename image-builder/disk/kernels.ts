// The kernels in a root file system tree.
import type { StageContext } from '../sandbox/stage-context.ts';
import { DiskError } from './disk-error.ts';

/** A kernel in /boot. */
export interface Kernel {
  /** Release, as uname has it: `6.12.107+deb13-cloud-amd64`. */
  version: string;
  /** File name in /boot. */
  file: string;
  /** File name of its initramfs in /boot. */
  initramfs?: string;
}

/**
 * The kernels in the tree's /boot, the newest first.
 * @throws DiskError TREE_UNUSABLE when there is none.
 */
export async function findKernels(tree: string, context: StageContext): Promise<Kernel[]> {
  const { sandbox, signal } = context;
  const output = await sandbox.run(
    ['find', `${tree}/boot`, '-mindepth', '1', '-maxdepth', '1', '-type', 'f', '-printf', '%f\\n'],
    { signal },
  );
  const kernels = kernelsOf(output.split('\n'));
  if (kernels.length === 0)
    throw new DiskError('TREE_UNUSABLE', 'there is no kernel (/boot/vmlinuz-*) in the root file system', {
      hint: 'Add a kernel package to the packages of the root file system (kernel_base_pkg).',
    });
  return kernels;
}

/** The kernels among the file names of /boot, the newest first. */
export function kernelsOf(fileNames: readonly string[]): Kernel[] {
  const names = new Set(fileNames);
  return fileNames
    .flatMap((file) => {
      const version = /^vmlinu[xz]-([A-Za-z0-9][A-Za-z0-9.+~_-]*)$/.exec(file)?.[1];
      if (version === undefined) return [];
      const initramfs = [`initrd.img-${version}`, `initramfs-${version}.img`].find((name) => names.has(name));
      return [{ version, file, ...(initramfs ? { initramfs } : {}) }];
    })
    .sort((a, b) => compareVersions(b.version, a.version));
}

/** Orders releases: runs of digits by their value, everything else by its text; independent of the locale. */
function compareVersions(a: string, b: string): number {
  const split = (version: string) => version.match(/\d+|\D+/g) ?? [];
  const [left, right] = [split(a), split(b)];
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    const [x = '', y = ''] = [left[index], right[index]];
    const difference = Number(x) - Number(y);
    if (difference !== 0 && !Number.isNaN(difference)) return difference;
    if (x !== y && (Number.isNaN(difference) || x === '' || y === '')) return x < y ? -1 : 1;
  }
  return 0;
}

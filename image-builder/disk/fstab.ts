// /etc/fstab of the image, by UUID: device names differ between the building machine, QEMU and the node.
import type { PlannedFileSystem, PlannedPartition } from './disk-plan.ts';

/** Text of fstab(5): in mount order, a parent directory before what is mounted below it, swap last. */
export function renderFstab(partitions: readonly PlannedPartition[]): string {
  const lines = partitions
    .filter(({ mount, fileSystem }) => fileSystem && (mount !== undefined || fileSystem.type === 'swap'))
    .sort(byMountOrder)
    .map(({ mount, fileSystem }) => {
      const { uuid, type, options, dump, fsck } = fileSystem as PlannedFileSystem;
      return `UUID=${uuid} ${mount?.replaceAll(' ', '\\040') ?? 'none'} ${type} ${options} ${dump} ${fsck}\n`;
    });
  return `# <file system> <mount point> <type> <options> <dump> <pass>\n${lines.join('')}`;
}

function byMountOrder(a: PlannedPartition, b: PlannedPartition): number {
  return (
    Number(a.mount === undefined) - Number(b.mount === undefined) ||
    depth(a.mount) - depth(b.mount) ||
    a.mountOrder - b.mountOrder ||
    a.number - b.number
  );
}

function depth(mount: string | undefined): number {
  return mount === undefined || mount === '/' ? 0 : mount.split('/').length - 1;
}

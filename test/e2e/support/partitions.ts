// The predecessor's partition table in little, as the variables of a QCOW.
import type { AssembleDiskRequest } from '../../../image-builder/disk/assemble.ts';
import type { Partition } from '../../../image-builder/spec/api/types.ts';

export const ROOT: Partition = {
  mount: '/',
  part_start: '200MiB',
  part_end: '1800MiB',
  filesystem: { type: 'ext4', fstab: { options: 'defaults,errors=remount-ro', fsck: 1 } },
};
export const BIOS_GRUB: Partition = {
  mount: 'none',
  part_start: '1MiB',
  part_end: '5MiB',
  flags: ['bios_grub'],
};
export const ESP: Partition = {
  mount: '/boot/efi',
  mount_order: 2,
  part_start: '5MiB',
  part_end: '80MiB',
  flags: ['boot', 'esp'],
  filesystem: { type: 'vfat', fstab: { options: 'umask=0077', fsck: 1 } },
};
export const BOOT: Partition = {
  mount: '/boot',
  mount_order: 1,
  part_start: '80MiB',
  part_end: '200MiB',
  filesystem: { type: 'ext4' },
};

/** Variables of a QCOW with these partitions. */
export function qcowOf(partitions: Partition[], capacity = '3G'): AssembleDiskRequest['qcow'] {
  return { qcow_capacity: capacity, qcow_compress: true, qcow_compression_type: 'zstd', partitions };
}

export const MENU: AssembleDiskRequest['menu'] = {
  timeoutSeconds: 0,
  serialCommand: 'serial --unit=0 --speed=115200',
  kernelArguments: ['console=tty0', 'console=ttyS0,115200n8'],
};

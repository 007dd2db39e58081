// The plan of a disk: what the partition table, the file systems and the boot loader are made from.
import type { Partition } from '../spec/api/types.ts';

/** The variables of the role `qcow` that describe the disk; {@link Partition} is as the user writes it. */
export interface DiskVariables {
  /** Virtual size: `19G` (binary units). */
  qcow_capacity: string;
  /** The order is that of the partition numbers. */
  partitions: Partition[];
}

/** What can be made. */
export type FileSystemType = 'ext4' | 'xfs' | 'vfat' | 'swap';

/** A file system or swap area of the plan. */
export interface PlannedFileSystem {
  type: FileSystemType;
  /** As `blkid` and fstab write it: a UUID, or `XXXX-XXXX` for vfat. */
  uuid: string;
  /** The fourth to sixth fields of fstab(5). */
  options: string;
  dump: number;
  fsck: number;
}

/** A partition with its place on the disk. */
export interface PlannedPartition {
  /** Partition number, from 1. */
  number: number;
  /** Multiples of 1 MiB. */
  startBytes: number;
  sizeBytes: number;
  /** GPT partition type GUID, upper case. */
  typeGuid: string;
  /** GPT unique partition GUID (`PARTUUID`). */
  guid: string;
  role: 'bios_grub' | 'esp' | 'data';
  legacyBoot: boolean;
  /** Absolute mount point; absent for swap and for partitions that are not mounted. */
  mount?: string;
  mountOrder: number;
  fileSystem?: PlannedFileSystem;
}

/** A whole disk. */
export interface DiskPlan {
  capacityBytes: number;
  /** GPT disk GUID. */
  diskGuid: string;
  /** In the order of the partition numbers. */
  partitions: PlannedPartition[];
  /** The partition with the root file system. */
  root: PlannedPartition;
  /** The partition that holds the kernels: /boot, or root when /boot is not separate. */
  boot: PlannedPartition;
  esp: PlannedPartition;
  /** Where GRUB for BIOS goes. */
  biosGrub?: PlannedPartition;
  /** Text of /etc/fstab. */
  fstab: string;
}

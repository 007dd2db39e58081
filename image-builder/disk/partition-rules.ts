// The rules for a list of partitions to make a bootable disk: each reports a finding, none stops the others.

import type { Partition } from '../spec/api/types.ts';
import type { BootPlatform } from './boot-platforms.ts';
import type { DiskVariables, PlannedPartition } from './disk-plan.ts';
import { formatMib, MIB } from './size.ts';

type Report = (field: string, message: string) => void;

/** Directories that the kernel or the first programs need before anything else is mounted, or that are not disks. */
const NEVER_SEPARATE =
  /^\/(bin|dev|etc|lib|lib32|lib64|libx32|proc|run|sbin|sys|boot\/grub|lost\+found)(\/|$)/;
/** The smallest file systems that mke2fs (with a journal), mkfs.xfs and mkfs.vfat make. */
const MINIMUM_MIB = { ext4: 8, xfs: 300, vfat: 1, swap: 1 };
const MAXIMUM_PARTITIONS = 128;

/** Reports what is wrong with one partition taken alone. Fields are relative to the partition. */
export function checkPartition(partition: Partition, report: Report): void {
  const { mount, filesystem } = partition;
  const type = filesystem?.type;
  const flags = new Set(partition.flags);
  const isEsp = flags.has('esp') || flags.has('boot');

  if (mount.startsWith('/')) {
    checkMountPoint(mount, report);
    if (!type) report('filesystem', `a partition that is mounted at "${mount}" needs a file system`);
    if (type === 'swap')
      report('filesystem.type', `"swap" cannot be mounted at "${mount}"; set mount to "swap"`);
    if (mount === '/' && type === 'vfat')
      report('filesystem.type', `"${type}" cannot contain the root file system; use ext4`);
    if (mount === '/boot' && type === 'vfat')
      report('filesystem.type', '"vfat" cannot contain /boot: kernel packages need links and owners');
  } else if (mount === 'swap' && type !== undefined && type !== 'swap') {
    report('filesystem.type', `"${type}" cannot be used as swap`);
  } else if (mount === 'swap' && type === undefined) {
    report('filesystem', 'a swap partition needs filesystem {type: swap}');
  } else if (mount === 'none' && type === 'swap') {
    report('mount', 'a swap area needs mount "swap"');
  }

  // mkfs.xfs fills a file system only from a prototype: without hard links, extended attributes, names with spaces.
  if (type === 'xfs' && (mount === '/' || mount === '/boot'))
    report('filesystem.type', `"xfs" cannot be filled with ${mount} without privileges; use "ext4"`);

  if (flags.has('bios_grub')) {
    if (mount !== 'none' || filesystem)
      report('flags', 'a bios_grub partition contains boot code: it needs mount "none" and no filesystem');
    if (isEsp) report('flags', 'a partition is either bios_grub or esp, not both');
  }
  if (isEsp && type !== 'vfat')
    report('filesystem', `an EFI system partition is vfat, not ${type ? `"${type}"` : 'empty'}`);
  if (flags.has('swap') && type !== 'swap')
    report('flags', 'the flag swap belongs to a partition with filesystem {type: swap}');

  const options = filesystem?.fstab?.options;
  // fstab(5) separates its fields by white space and has no way to quote it in the options.
  if (options !== undefined && !/^[!-~]+$/.test(options))
    report('filesystem.fstab.options', `"${options}" has white space or control characters`);
}

function checkMountPoint(mount: string, report: Report): void {
  const normal = mount === '/' || /^(\/[^/]+)+$/.test(mount);
  const hasDots = mount.split('/').some((part) => part === '.' || part === '..');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (!normal || hasDots || /[\u0000-\u001f\u007f\\#]/.test(mount))
    report('mount', `"${mount}" is not a plain absolute path`);
  else if (NEVER_SEPARATE.test(mount))
    report('mount', `"${mount}" must be on the file system of its parent directory for the system to start`);
}

/** Reports what is wrong with the disk as a whole. Fields are relative to the qcow variables. */
export function checkDisk(
  partitions: PlannedPartition[],
  variables: DiskVariables,
  platform: BootPlatform,
  report: Report,
): void {
  if (partitions.length > MAXIMUM_PARTITIONS)
    report(
      'partitions',
      `${partitions.length} partitions; the GPT that firmware expects has at most ${MAXIMUM_PARTITIONS}`,
    );
  checkOverlaps(partitions, variables, report);
  checkSizes(partitions, variables, report);

  const mounts = new Map<string, number>();
  for (const [index, { mount }] of partitions.entries()) {
    if (mount === undefined) continue;
    const first = mounts.get(mount);
    if (first === undefined) mounts.set(mount, index);
    else
      report(`partitions[${index}].mount`, `"${mount}" is already the mount point of partitions[${first}]`);
  }
  if (!mounts.has('/')) report('partitions', 'no partition is mounted at "/"');
  checkSingle(partitions, 'esp', 'EFI system partition (flags: [esp]); UEFI machines boot from it', report);
  // Where there is no BIOS, the predecessor's table with its bios_grub partition is fine all the same.
  if (platform.bios)
    checkSingle(partitions, 'bios_grub', 'bios_grub partition; BIOS machines boot from it', report);
}

function checkSingle(
  partitions: PlannedPartition[],
  role: PlannedPartition['role'],
  what: string,
  report: Report,
): void {
  const indexes = partitions.flatMap((partition, index) => (partition.role === role ? [index] : []));
  if (indexes.length === 0) report('partitions', `there is no ${what}`);
  for (const index of indexes.slice(1))
    report(`partitions[${index}].flags`, `partitions[${indexes[0]}] is already the ${role} partition`);
}

/** Every pair once, named at the one with the higher number. Partitions that could not be placed match nothing. */
function checkOverlaps(
  partitions: PlannedPartition[],
  { partitions: written }: DiskVariables,
  report: Report,
) {
  for (const [index, partition] of partitions.entries()) {
    const other = partitions
      .slice(0, index)
      .findIndex(
        (candidate) =>
          Math.min(partition.sizeBytes, candidate.sizeBytes) > 0 &&
          partition.startBytes < candidate.startBytes + candidate.sizeBytes &&
          candidate.startBytes < partition.startBytes + partition.sizeBytes,
      );
    if (other === -1) continue;
    const range = (at: number) => `${written[at]?.part_start} to ${written[at]?.part_end}`;
    report(
      `partitions[${index}].part_start`,
      `${range(index)} overlaps partitions[${other}], which is ${range(other)}`,
    );
  }
}

function checkSizes(partitions: PlannedPartition[], { partitions: written }: DiskVariables, report: Report) {
  for (const [index, { sizeBytes, fileSystem }] of partitions.entries()) {
    const minimum = fileSystem ? MINIMUM_MIB[fileSystem.type] : 0;
    if (sizeBytes > 0 && sizeBytes < minimum * MIB)
      report(
        `partitions[${index}].part_end`,
        `"${written[index]?.part_end}" leaves ${formatMib(sizeBytes)}; ${fileSystem?.type} needs ${minimum} MiB`,
      );
  }
}

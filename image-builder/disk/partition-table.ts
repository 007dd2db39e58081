// Plans the partitions of a disk from the qcow variables: pure, and complete in what it finds wrong.

import type { Architecture } from '../base/architecture.ts';
import { type Finding, InvalidInputError } from '../base/diagnostics/error.ts';
import type { Partition } from '../spec/api/types.ts';
import { BOOT_PLATFORMS } from './boot-platforms.ts';
import type { DiskPlan, DiskVariables, PlannedFileSystem, PlannedPartition } from './disk-plan.ts';
import { renderFstab } from './fstab.ts';
import { deriveUuid, deriveVolumeId } from './identifiers.ts';
import { checkDisk, checkPartition } from './partition-rules.ts';
import { MIB, parseCapacity, parsePosition } from './size.ts';

// https://uefi.org/specs/UEFI/2.10/05_GUID_Partition_Table_Format.html and
// https://uapi-group.org/specifications/specs/discoverable_partitions_specification/
const TYPE_GUID = {
  bios_grub: '21686148-6449-6E6F-744E-656564454649',
  esp: 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B',
  lvm: 'E6D6D379-F507-44C2-A23C-238F2A3DF928',
  linux: '0FC63DAF-8483-4772-8E79-3D69D8477DE4',
  swap: '0657FD6D-A4AB-43C4-84E5-0933C84B4F4F',
};

/** The first MiB holds the partition table, the last one its backup. */
const RESERVED_BYTES = MIB;

/**
 * Plans the disk that `variables` describe. Every identifier is a function of `identifierSeed`.
 * @throws InvalidInputError with all findings; paths are relative to the qcow variables: `partitions[2].part_end`.
 */
export function planPartitions(
  variables: DiskVariables,
  identifierSeed: string,
  architecture: Architecture,
): DiskPlan {
  const findings: Finding[] = [];
  const report = (field: string, message: string) => findings.push({ severity: 'error', field, message });

  const capacityBytes = parseCapacity(variables.qcow_capacity);
  if (capacityBytes === undefined) {
    report(
      'qcow_capacity',
      `"${variables.qcow_capacity}" is larger than any disk, expected a size such as 19G`,
    );
    throw new InvalidInputError(findings);
  }
  const partitions: PlannedPartition[] = [];
  for (const [index, partition] of variables.partitions.entries()) {
    const at = `partitions[${index}]`;
    checkPartition(partition, (field, message) => report(`${at}.${field}`, message));
    const place = placePartition(partition, capacityBytes, variables.qcow_capacity, (field, message) =>
      report(`${at}.${field}`, message),
    );
    partitions.push({ ...describePartition(partition, index + 1, identifierSeed), ...place });
  }
  checkDisk(partitions, variables, BOOT_PLATFORMS[architecture], report);
  if (findings.length > 0) throw new InvalidInputError(findings);

  const withMount = (mount: string) => partitions.find((partition) => partition.mount === mount);
  const root = withMount('/') as PlannedPartition;
  const biosGrub = partitions.find(({ role }) => role === 'bios_grub');
  return {
    capacityBytes,
    diskGuid: deriveUuid(identifierSeed, 'disk'),
    partitions,
    root,
    boot: withMount('/boot') ?? root,
    esp: partitions.find(({ role }) => role === 'esp') as PlannedPartition,
    ...(biosGrub && { biosGrub }),
    fstab: renderFstab(partitions),
  };
}

type ReportField = (field: 'part_start' | 'part_end', message: string) => void;

/** Where the partition lies; starts are rounded up and ends down to 1 MiB, so neighbours never collide by rounding. */
function placePartition(partition: Partition, capacityBytes: number, capacity: string, report: ReportField) {
  const position = (field: 'part_start' | 'part_end') => {
    const bytes = parsePosition(partition[field], capacityBytes);
    if (bytes === undefined)
      report(field, `"${partition[field]}" is not a position such as 516MiB, 1.5GiB or 100%`);
    return bytes ?? Number.NaN;
  };
  let startBytes = Math.ceil(position('part_start') / MIB) * MIB;
  let endBytes = Math.floor(position('part_end') / MIB) * MIB;
  // As in parted, 0% and 100% mean as far as the table lets one go.
  if (startBytes === 0 && partition.part_start.endsWith('%')) startBytes = RESERVED_BYTES;
  const lastBytes = Math.floor(capacityBytes / MIB) * MIB - RESERVED_BYTES;
  if (endBytes > lastBytes && endBytes <= capacityBytes) endBytes = lastBytes;

  if (startBytes < RESERVED_BYTES)
    report('part_start', `"${partition.part_start}" is inside the partition table (the first MiB)`);
  if (endBytes > lastBytes)
    report(
      'part_end',
      `"${partition.part_end}" is beyond the end of the disk (qcow_capacity is "${capacity}")`,
    );
  else if (endBytes <= startBytes)
    report(
      'part_end',
      `"${partition.part_end}" leaves no room after part_start "${partition.part_start}" (partitions are whole MiB)`,
    );
  return { startBytes, sizeBytes: endBytes - startBytes };
}

function describePartition(partition: Partition, number: number, seed: string) {
  const flags = new Set(partition.flags);
  // In parted's words, `boot` on a GPT disk is just another name of `esp`.
  const role = flags.has('bios_grub')
    ? ('bios_grub' as const)
    : flags.has('esp') || flags.has('boot')
      ? ('esp' as const)
      : ('data' as const);
  const isSwap = partition.filesystem?.type === 'swap' || flags.has('swap');
  const fileSystem = describeFileSystem(partition, number, seed);
  return {
    number,
    typeGuid: TYPE_GUID[role === 'data' ? dataType(isSwap, flags.has('lvm')) : role],
    guid: deriveUuid(seed, `partition-${number}`),
    role,
    legacyBoot: flags.has('legacy_boot'),
    mountOrder: Number(partition.mount_order ?? 0),
    ...(partition.mount.startsWith('/') ? { mount: partition.mount } : {}),
    ...(fileSystem ? { fileSystem } : {}),
  };
}

function dataType(isSwap: boolean, isLvm: boolean): 'swap' | 'lvm' | 'linux' {
  if (isSwap) return 'swap';
  return isLvm ? 'lvm' : 'linux';
}

function describeFileSystem(
  { filesystem, mount }: Partition,
  number: number,
  seed: string,
): PlannedFileSystem | undefined {
  if (!filesystem) return undefined;
  const { type, fstab } = filesystem;
  const volumeId = deriveVolumeId(seed, `filesystem-${number}`);
  return {
    type,
    uuid:
      type === 'vfat'
        ? `${volumeId.slice(0, 4)}-${volumeId.slice(4)}`
        : deriveUuid(seed, `filesystem-${number}`),
    options: fstab?.options ?? (type === 'swap' ? 'sw' : 'defaults'),
    dump: Number(fstab?.dump ?? 0),
    // fsck.xfs does nothing: xfs repairs itself when it is mounted.
    fsck: Number(fstab?.fsck ?? (type === 'swap' || type === 'xfs' ? 0 : mount === '/' ? 1 : 2)),
  };
}

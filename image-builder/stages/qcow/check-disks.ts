// Checks the disks of all QCOWs, and what boots them, before anything is built: a partition that does not fit must not cost two minutes.

import type { Architecture } from '../../base/architecture.ts';
import { type Finding, InvalidInputError } from '../../base/diagnostics/error.ts';
import { formatFieldPath } from '../../base/diagnostics/field-path.ts';
import { planPartitions } from '../../disk/partition-table.ts';
import type { ResolvedBuild } from '../../spec/variables/resolved.ts';

type Disk = ResolvedBuild['qcows'][string]['qcow'];

const ERROR = { severity: 'error' as const };

/** @throws InvalidInputError with the findings of all QCOWs; paths from the root of the object: `spec.build.qcows...` */
export function checkDisks({ qcows, rootfs, iso, bootTest }: ResolvedBuild): void {
  const architecture = rootfs.multistrap.rootfs_arch;
  // Most QCOWs of a build have the same disk, and the very same list of partitions.
  const known = new Map<unknown, Map<string, Finding[]>>();
  const findingsOf = (qcow: Disk): Finding[] => {
    const sameList = known.get(qcow.partitions) ?? new Map<string, Finding[]>();
    known.set(qcow.partitions, sameList);
    const findings = sameList.get(qcow.qcow_capacity) ?? findingsOfDisk(qcow, architecture);
    sameList.set(qcow.qcow_capacity, findings);
    return findings;
  };
  const findings = Object.entries(qcows).flatMap(([name, { qcow }]) => {
    const field = formatFieldPath(['spec', 'build', 'qcows', name, 'qcow']);
    return findingsOf(qcow).map((finding) => ({
      ...finding,
      field: `${field}.${finding.field}`,
    }));
  });
  if (iso && architecture !== 'amd64')
    findings.push({
      ...ERROR,
      field: 'spec.build.iso',
      message: `an ISO is made for amd64, not for ${architecture}`,
    });
  if (architecture === 'arm64' && bootTest.timeout > 0 && bootTest.firmware.includes('bios'))
    findings.push({
      ...ERROR,
      field: 'spec.build.bootTest.firmware',
      message: 'arm64 machines have no BIOS',
    });
  if (findings.length > 0) throw new InvalidInputError(findings);
}

function findingsOfDisk(qcow: Disk, architecture: Architecture): Finding[] {
  try {
    planPartitions(qcow, '', architecture);
    return [];
  } catch (error) {
    if (error instanceof InvalidInputError) return error.findings();
    throw error;
  }
}

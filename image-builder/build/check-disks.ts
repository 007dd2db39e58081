// Checks the disks of all QCOWs before anything is built: a partition that does not fit must not cost two minutes.

import { type Finding, InvalidInputError } from '../diagnostics/error.ts';
import { formatFieldPath } from '../diagnostics/field-path.ts';
import { planPartitions } from '../disk/partition-table.ts';
import type { ResolvedBuild } from '../variables/types.ts';

/** @throws InvalidInputError with the findings of all QCOWs; paths from the root of the object: `spec.build.qcows...` */
export function checkDisks({ qcows }: Pick<ResolvedBuild, 'qcows'>): void {
  const findings = Object.entries(qcows).flatMap(([name, { qcow }]) => {
    const field = formatFieldPath(['spec', 'build', 'qcows', name, 'qcow']);
    return findingsOfDisk(qcow).map((finding) => ({ ...finding, field: `${field}.${finding.field}` }));
  });
  if (findings.length > 0) throw new InvalidInputError(findings);
}

function findingsOfDisk(qcow: ResolvedBuild['qcows'][string]['qcow']): Finding[] {
  try {
    planPartitions(qcow, '');
    return [];
  } catch (error) {
    if (error instanceof InvalidInputError) return error.findings();
    throw error;
  }
}

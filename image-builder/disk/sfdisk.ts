// The partition table as a script for sfdisk(8): everything that it would choose by itself is given.

import type { DiskPlan } from './disk-plan.ts';
import { SECTOR_BYTES } from './size.ts';

/** Script that writes the GPT of `plan` with fixed identifiers. */
export function renderSfdiskScript(plan: DiskPlan): string {
  const header = ['label: gpt', `label-id: ${plan.diskGuid.toUpperCase()}`, 'unit: sectors', ''];
  const lines = plan.partitions.map((partition) => {
    const fields = [
      `start=${partition.startBytes / SECTOR_BYTES}`,
      `size=${partition.sizeBytes / SECTOR_BYTES}`,
      `type=${partition.typeGuid}`,
      `uuid=${partition.guid.toUpperCase()}`,
      ...(partition.legacyBoot ? ['attrs=LegacyBIOSBootable'] : []),
    ];
    return `${partition.number} : ${fields.join(', ')}`;
  });
  return `${[...header, ...lines].join('\n')}\n`;
}

// Sizes as the qcow variables write them: binary units, decimals and percentages.

export const SECTOR_BYTES = 512;
export const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

const CAPACITY_UNITS: Record<string, number> = {
  M: MIB,
  MiB: MIB,
  G: GIB,
  GiB: GIB,
  T: 1024 * GIB,
  TiB: 1024 * GIB,
};

/** Bytes of a `qcow_capacity` such as `19G` (units are binary, as in qemu-img), or undefined when it is not one. */
export function parseCapacity(text: string): number | undefined {
  const match = /^([0-9]+)(MiB|GiB|TiB|M|G|T)$/.exec(text);
  const bytes = Number(match?.[1]) * (CAPACITY_UNITS[match?.[2] ?? ''] ?? Number.NaN);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** Bytes from the start of the disk of a `part_start` or `part_end`, or undefined when it is not one. */
export function parsePosition(text: string, capacityBytes: number): number | undefined {
  const match = /^([0-9]+(?:\.[0-9]+)?)(MiB|GiB|%)$/.exec(text);
  if (!match) return undefined;
  const value = Number(match[1]);
  if (match[2] === '%') return value <= 100 ? (capacityBytes * value) / 100 : undefined;
  return value * (match[2] === 'GiB' ? GIB : MIB);
}

/** Bytes for people: `767 MiB`. */
export function formatMib(bytes: number): string {
  return `${Math.round((bytes / MIB) * 10) / 10} MiB`;
}

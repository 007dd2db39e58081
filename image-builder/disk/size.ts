// Sizes as the qcow variables write them: binary units, decimals and percentages.

export const SECTOR_BYTES = 512;
export const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

const TIB = 1024 * GIB;

const CAPACITY_UNITS: Record<string, number> = {
  '': 1,
  M: MIB,
  MIB,
  G: GIB,
  GIB,
  T: TIB,
  TIB,
};

/**
 * Bytes of a `qcow_capacity` such as `19G`, or undefined when it is not one: units are binary, as in qemu-img, and a number
 * alone is bytes. Rounded up to whole MiB.
 */
export function parseCapacity(text: string): number | undefined {
  const match = /^([0-9]+(?:\.[0-9]+)?)(MiB|GiB|TiB|[MGT])?$/i.exec(text);
  const unit = CAPACITY_UNITS[(match?.[2] ?? '').toUpperCase()] ?? Number.NaN;
  const bytes = Math.ceil((Number(match?.[1]) * unit) / MIB) * MIB;
  return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : undefined;
}

/** As in parted: MB and GB are powers of ten. */
const POSITION_UNITS: Record<string, number> = {
  MiB: MIB,
  GiB: GIB,
  TiB: TIB,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
};

/** Bytes from the start of the disk of a `part_start` or `part_end`, or undefined when it is not one. */
export function parsePosition(text: string, capacityBytes: number): number | undefined {
  const [, number, unit = ''] = /^([0-9]+(?:\.[0-9]+)?)([MGT]i?B|%)$/.exec(text) ?? [];
  if (number === undefined) return undefined;
  const value = Number(number);
  if (unit === '%') return value <= 100 ? (capacityBytes * value) / 100 : undefined;
  return value * (POSITION_UNITS[unit] ?? Number.NaN);
}

/** Bytes for people: `767 MiB`. */
export function formatMib(bytes: number): string {
  return `${Math.round((bytes / MIB) * 10) / 10} MiB`;
}

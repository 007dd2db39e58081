// Identifiers that are a function of a seed, so that the same inputs give the same bytes.
import { createHash } from 'node:crypto';

/** A UUID of version 8 (RFC 9562, section 5.8) from the SHA-256 of `seed` and `name`. Lower case. */
export function deriveUuid(seed: string, name: string): string {
  const bytes = digest(seed, name).subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** A FAT volume serial number: eight upper-case hexadecimal digits, as `mkfs.vfat -i` takes them. */
export function deriveVolumeId(seed: string, name: string): string {
  return digest(seed, name).subarray(0, 4).toString('hex').toUpperCase();
}

function digest(seed: string, name: string): Buffer {
  return createHash('sha256').update(seed).update('\0').update(name).digest();
}

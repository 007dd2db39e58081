// CRC-32C as ext4 keeps it: begun with what the caller says, and not inverted at the end.
const POLYNOMIAL = 0x82f6_3b78;
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1;
  return value;
});

/** Goes on with a checksum; of nothing it is 0xffffffff. */
export function crc32c(checksum: number, data: Uint8Array): number {
  let value = checksum;
  for (let at = 0; at < data.length; at++)
    value = (TABLE[(value ^ (data[at] as number)) & 255] as number) ^ (value >>> 8);
  return value >>> 0;
}

// The header of a swap area, as mkswap(8) writes it. Made here because mkswap cannot write into the middle of a file
// everywhere, and because it is one page.

const PAGE_BYTES = 4096;
const SIGNATURE = 'SWAPSPACE2';

/**
 * First page of a swap area of `sizeBytes` bytes: version 1 of `union swap_header` in the kernel's
 * include/linux/swap.h, little endian, for pages of 4096 bytes.
 */
export function swapHeader(sizeBytes: number, uuid: string): Buffer {
  const page = Buffer.alloc(PAGE_BYTES);
  page.writeUInt32LE(1, 1024);
  page.writeUInt32LE(Math.floor(sizeBytes / PAGE_BYTES) - 1, 1028);
  Buffer.from(uuid.replaceAll('-', ''), 'hex').copy(page, 1036);
  page.write(SIGNATURE, PAGE_BYTES - SIGNATURE.length, 'latin1');
  return page;
}

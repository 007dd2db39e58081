// Puts GRUB for BIOS machines into a disk image, as grub-bios-setup(8) does, which needs the disk as a block device.
import { SECTOR_BYTES } from './size.ts';

/** Offsets in GRUB's own boot sectors: include/grub/i386/pc/boot.h and kernel.h of the GRUB sources. */
const BOOT_CODE_BYTES = 440;
const KERNEL_SECTOR_OFFSET = 0x5c;
const DRIVE_CHECK_OFFSET = 0x66;
const BLOCK_LIST_START = 500;
const BLOCK_LIST_LENGTH = 508;
const BLOCK_LIST_SEGMENT = 510;
/** Where diskboot.img loads the second sector and the following ones: one sector behind 0x800:0. */
const SECOND_SECTOR_SEGMENT = 0x820;
const NOP = 0x90;

/** Boot code for the first 440 bytes of the disk (the rest of the sector is the protective MBR): loads the core image from `coreSector`. */
export function bootSector(bootImage: Buffer, coreSector: number): Buffer {
  const code = Buffer.from(bootImage.subarray(0, BOOT_CODE_BYTES));
  code.writeBigUInt64LE(BigInt(coreSector), KERNEL_SECTOR_OFFSET);
  // Hard disks: skip the work-around for floppy-like BIOSes that pass a wrong drive number.
  code.fill(NOP, DRIVE_CHECK_OFFSET, DRIVE_CHECK_OFFSET + 2);
  return code;
}

/** The core image as it lies from `coreSector` on: its first sector knows where the others are. */
export function embeddedCoreImage(coreImage: Buffer, coreSector: number): Buffer {
  const sectors = Math.ceil(coreImage.length / SECTOR_BYTES);
  const image = Buffer.alloc(sectors * SECTOR_BYTES);
  coreImage.copy(image);
  image.writeBigUInt64LE(BigInt(coreSector + 1), BLOCK_LIST_START);
  image.writeUInt16LE(sectors - 1, BLOCK_LIST_LENGTH);
  image.writeUInt16LE(SECOND_SECTOR_SEGMENT, BLOCK_LIST_SEGMENT);
  return image;
}

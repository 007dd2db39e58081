// Tells a qcow2 image from an ISO by what is in it.
import { open } from 'node:fs/promises';
import { BootError } from './boot-error.ts';

/** `QFI\xfb`: https://www.qemu.org/docs/master/interop/qcow2.html */
const QCOW_MAGIC = Buffer.from([0x51, 0x46, 0x49, 0xfb]);
/** Identifier of the first volume descriptor: ECMA-119, section 8.1. */
const ISO_IDENTIFIER = { offset: 32_769, text: 'CD001' };

/** @throws BootError IMAGE_UNREADABLE */
export async function detectImageFormat(image: string): Promise<'qcow2' | 'iso'> {
  try {
    const file = await open(image, 'r');
    try {
      const read = async (position: number, length: number) => {
        const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
        return buffer.subarray(0, bytesRead);
      };
      if ((await read(0, QCOW_MAGIC.length)).equals(QCOW_MAGIC)) return 'qcow2';
      const identifier = await read(ISO_IDENTIFIER.offset, ISO_IDENTIFIER.text.length);
      if (identifier.toString('latin1') === ISO_IDENTIFIER.text) return 'iso';
    } finally {
      await file.close();
    }
  } catch (error) {
    throw new BootError('IMAGE_UNREADABLE', `${image} cannot be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
  throw new BootError('IMAGE_UNREADABLE', `${image} is neither a qcow2 image nor an ISO`);
}

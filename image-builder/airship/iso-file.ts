// What an ISO is known by.
import { open } from 'node:fs/promises';

/** The first volume descriptor (ECMA-119, 6.7.1 and 8.1). */
const DESCRIPTOR = { offset: 16 * 2048 + 1, id: 'CD001' };

/** Whether a regular file is an ISO 9660 image. */
export async function isIso(path: string): Promise<boolean> {
  const file = await open(path).catch(() => undefined);
  try {
    const { bytesRead, buffer } = (await file?.read(Buffer.alloc(5), 0, 5, DESCRIPTOR.offset)) ?? {
      bytesRead: 0,
    };
    return bytesRead === 5 && buffer?.toString('latin1') === DESCRIPTOR.id;
  } finally {
    await file?.close();
  }
}

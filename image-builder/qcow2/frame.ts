// How long a zstd frame is, without decompressing it: qcow2 tells the sectors of a cluster only (RFC 8878).
import { unexpectedQcow2 } from './qcow2-error.ts';

const FRAME_MAGIC = 0xfd2fb528;
/** Bytes of the content size, by its flag; none if that is 0, unless the frame is a single segment. */
const CONTENT_SIZE_BYTES = [0, 2, 4, 8];
const DICTIONARY_BYTES = [0, 1, 2, 4];
const BLOCK_RLE = 1;

/** Length of the zstd frame at the beginning of `data` (RFC 8878, section 3.1.1), in bytes. */
export function frameLength(data: Buffer): number {
  try {
    if (data.readUInt32LE(0) !== FRAME_MAGIC) throw unexpectedQcow2('the compression');
    const descriptor = data.readUInt8(4);
    const single = (descriptor & 0x20) !== 0;
    const sizeFlag = descriptor >> 6;
    const contentSize = sizeFlag === 0 && single ? 1 : (CONTENT_SIZE_BYTES[sizeFlag] ?? 0);
    let offset = 5 + (single ? 0 : 1) + (DICTIONARY_BYTES[descriptor & 3] ?? 0) + contentSize;
    for (let last = false; !last; ) {
      const block = data.readUIntLE(offset, 3);
      last = (block & 1) !== 0;
      offset += 3 + (((block >> 1) & 3) === BLOCK_RLE ? 1 : block >> 3);
    }
    const end = offset + (descriptor & 4 ? 4 : 0);
    if (end > data.length) throw unexpectedQcow2('the end of a cluster');
    return end;
  } catch (error) {
    if (error instanceof RangeError) throw unexpectedQcow2('the end of a cluster');
    throw error;
  }
}

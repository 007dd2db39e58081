// Reading and writing a file at a position, in full. At once (`Sync`) where there are many small pieces: a thread takes longer
// than the copy.
import { readSync, writeSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';

/** Reads that many bytes; behind the end of the file are zeros. */
export function readAt(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  return readInto(Buffer.alloc(length), file, offset);
}

/** Fills the buffer; behind the end of the file are zeros. @returns the buffer */
export async function readInto(buffer: Buffer, file: FileHandle, offset: number): Promise<Buffer> {
  for (let done = 0; done < buffer.length; ) {
    const { bytesRead } = await file.read(buffer, done, buffer.length - done, offset + done);
    if (bytesRead === 0) return buffer.fill(0, done);
    done += bytesRead;
  }
  return buffer;
}

/** Writes all of `data` at the offset. */
export async function writeAt(file: FileHandle, data: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < data.length; ) {
    done += (await file.write(data, done, data.length - done, offset + done)).bytesWritten;
  }
}

/** {@link readInto}, at once. */
export function readIntoSync(buffer: Buffer, file: FileHandle, offset: number): Buffer {
  for (let done = 0; done < buffer.length; ) {
    const bytesRead = readSync(file.fd, buffer, done, buffer.length - done, offset + done);
    if (bytesRead === 0) return buffer.fill(0, done);
    done += bytesRead;
  }
  return buffer;
}

/** {@link writeAt}, at once. */
export function writeAtSync(file: FileHandle, data: Uint8Array, offset: number): void {
  for (let done = 0; done < data.length; )
    done += writeSync(file.fd, data, done, data.length - done, offset + done);
}

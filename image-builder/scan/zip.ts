// The files of a ZIP archive, as OSV publishes its databases, one after another, so that memory holds one of them.
import type { FileHandle } from 'node:fs/promises';
import { fromFdPromise } from 'yauzl';
import { ScanError } from './scan-error.ts';

/** That of all of Debian's records has 60,000 files. */
const MOST_FILES = 1_000_000;

/** Whether a file is an archive, by its first bytes. */
export const isZip = (head: Uint8Array): boolean =>
  head[0] === 0x50 && head[1] === 0x4b && (head[2] === 3 || head[2] === 5);

/**
 * The files of an archive whose names end in `suffix`, in its order.
 * @param limit bytes that one of them may have; yauzl ends what becomes longer than the directory says
 * @throws ScanError
 */
export async function* filesOfZip(
  file: FileHandle,
  where: string,
  { suffix, limit }: { suffix: string; limit: number },
): AsyncGenerator<{ name: string; content: Buffer }> {
  try {
    const zip = await fromFdPromise(file.fd, { autoClose: false });
    if (zip.entryCount > MOST_FILES) throw tooLarge(where, `${zip.entryCount} files`);
    for await (const entry of zip.eachEntry()) {
      const { fileName: name, uncompressedSize: size } = entry;
      if (!name.endsWith(suffix)) continue;
      if (size > limit) throw tooLarge(`${where}: ${name}`, `${size} bytes`);
      const parts: Buffer[] = await (await zip.openReadStreamPromise(entry)).toArray();
      yield { name, content: Buffer.concat(parts) };
    }
  } catch (cause) {
    if (cause instanceof ScanError) throw cause;
    const reason = (cause as Error).message;
    throw new ScanError('SCAN_INPUT_INVALID', `${where} cannot be read as a ZIP archive: ${reason}`, {
      cause,
    });
  }
}

const tooLarge = (where: string, what: string) =>
  new ScanError('SCAN_INPUT_TOO_LARGE', `${where} has ${what}, more than any database`);

// A base image in a directory of this machine: what it is in one file, and the blobs of its layers beside that.
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { blobPath } from '../oci/layout/format.ts';
import type { LocalBaseImage } from './write/assemble.ts';

/** JSON of {@link LocalBaseImage}'s `config` and `layers`. */
export const RECORD_FILE = 'base.json';

/** The base as it lies in its directory; undefined when it is not complete. */
export async function readBase(directory: string): Promise<LocalBaseImage | undefined> {
  try {
    const { config, layers }: Pick<LocalBaseImage, 'config' | 'layers'> = JSON.parse(
      await readFile(join(directory, RECORD_FILE), 'utf8'),
    );
    const blob = (digest: string) => blobPath(directory, digest);
    for (const { digest, size } of layers) if ((await stat(blob(digest))).size !== size) return undefined;
    return { config, layers, blob };
  } catch {
    return undefined;
  }
}

// The files that the predecessor leaves beside a disk image: its checksum, and the variables it was made with.
import { basename, join } from 'node:path';
import { replaceFile } from '../../base/files/replace.ts';
import type { Profile } from '../model.ts';
import type { CopiedFile } from './copy-disks.ts';

/**
 * Writes `<image>.md5sum` (the bare hash) for each image that was copied into `directory`, and the bundle's profiles.
 * Existing files of these names are replaced.
 * @returns absolute paths of the files written
 */
export async function writeCompanions(
  directory: string,
  images: readonly CopiedFile[],
  profiles: readonly Profile[],
): Promise<string[]> {
  const companions = [
    ...images
      .filter(({ path }) => !path.endsWith('.md5sum'))
      .map(({ path, md5 }) => ({ path: `${path}.md5sum`, text: `${md5}\n` })),
    ...profiles.map(({ path, json }) => ({ path: join(directory, basename(path)), text: json })),
  ];
  for (const { path, text } of companions) await replaceFile(path, text);
  return companions.map(({ path }) => path);
}

// Makes an XFS file system.
import type { StageContext } from '../build/stage.ts';
import { DiskError } from './error.ts';
import type { FileSystemSource } from './tree.ts';
import type { PlannedPartition } from './types.ts';

/** Writes the file system of `partition` into `disk`. */
export async function makeXfs(
  _disk: string,
  partition: PlannedPartition,
  _source: FileSystemSource | undefined,
  _context: StageContext,
): Promise<void> {
  throw new DiskError(
    'UNSUPPORTED_FILE_SYSTEM',
    `xfs cannot be made for ${partition.mount} without privileges`,
  );
}

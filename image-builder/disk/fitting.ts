// Reports in numbers that a file system is too small; the tools only say that a block could not be allocated.
import type { StageContext } from '../sandbox/stage-context.ts';
import { DiskError } from './disk-error.ts';
import type { PlannedPartition } from './disk-plan.ts';
import { formatMib } from './size.ts';
import type { FileSystemSource } from './tree.ts';

/** File systems need room for themselves: journals, tables, partly filled blocks. */
const USABLE_SHARE = 0.9;

/**
 * Explains why a file system could not be filled.
 * @throws DiskError DOES_NOT_FIT when the source is about as large as its partition, or larger; otherwise `error`
 */
export async function explainMissingSpace(
  error: unknown,
  partition: PlannedPartition,
  source: FileSystemSource | undefined,
  { sandbox, signal }: StageContext,
): Promise<never> {
  if (signal.aborted || !source) throw error;
  const usage = await sandbox.run(['du', '--summarize', '--block-size=1', source.directory], { signal });
  const neededBytes = Number.parseInt(usage, 10);
  if (neededBytes < partition.sizeBytes * USABLE_SHARE) throw error;
  throw new DiskError(
    'DOES_NOT_FIT',
    `${partition.mount} needs ${formatMib(neededBytes)}, its partition (number ${partition.number}) has ` +
      `${formatMib(partition.sizeBytes)}`,
    { cause: error, hint: 'Make the partition or qcow_capacity larger, or install less.' },
  );
}

// Makes a FAT file system at an offset of the disk file and copies directories into it.
import type { StageContext } from '../sandbox/stage-context.ts';
import type { PlannedPartition } from './disk-plan.ts';
import { MIB, SECTOR_BYTES } from './size.ts';

/**
 * FAT type and sectors per cluster by the size of the volume: Microsoft's table for FAT32, the middle of the allowed
 * number of clusters for the smaller ones. Given, since mkfs.vfat would decide by the size of the whole disk file.
 */
const GEOMETRY: readonly { belowMib: number; fat: 12 | 16 | 32; sectorsPerCluster: number }[] = [
  { belowMib: 4, fat: 12, sectorsPerCluster: 4 },
  { belowMib: 16, fat: 16, sectorsPerCluster: 1 },
  { belowMib: 64, fat: 16, sectorsPerCluster: 4 },
  { belowMib: 300, fat: 32, sectorsPerCluster: 1 },
  { belowMib: 8 * 1024, fat: 32, sectorsPerCluster: 8 },
  { belowMib: 16 * 1024, fat: 32, sectorsPerCluster: 16 },
  { belowMib: 32 * 1024, fat: 32, sectorsPerCluster: 32 },
  { belowMib: Number.POSITIVE_INFINITY, fat: 32, sectorsPerCluster: 64 },
];

/** The `-F` and `-s` of mkfs.vfat for a volume of `sizeBytes` bytes. */
export function fatGeometry(sizeBytes: number): { fat: 12 | 16 | 32; sectorsPerCluster: number } {
  const { fat, sectorsPerCluster } = GEOMETRY.find(({ belowMib }) => sizeBytes < belowMib * MIB) as {
    fat: 12 | 16 | 32;
    sectorsPerCluster: number;
  };
  return { fat, sectorsPerCluster };
}

/** Where a FAT file system lies and what it is called. */
export interface FatVolume {
  file: string;
  offsetBytes: number;
  sizeBytes: number;
  /** `XXXX-XXXX` or eight hexadecimal digits. */
  volumeId: string;
  /** At most eleven upper-case characters. */
  label?: string;
}

/** The FAT volume of a partition. */
export function fatVolume(file: string, partition: PlannedPartition): FatVolume {
  const { startBytes, sizeBytes, role, fileSystem } = partition;
  return {
    file,
    offsetBytes: startBytes,
    sizeBytes,
    volumeId: fileSystem?.uuid ?? '',
    ...(role === 'esp' ? { label: 'ESP' } : {}),
  };
}

/** Writes the file system and copies the content of `directory`, if there is one, into its root. */
export async function makeFat(
  volume: FatVolume,
  directory: string | undefined,
  context: StageContext,
): Promise<void> {
  const { sandbox, signal, sourceDateEpoch } = context;
  const { file, offsetBytes, sizeBytes, volumeId, label } = volume;
  const { fat, sectorsPerCluster } = fatGeometry(sizeBytes);
  const env = {
    TZ: 'UTC',
    SOURCE_DATE_EPOCH: `${sourceDateEpoch}`,
    // Neither the user's mtools configuration nor geometry checks that mean floppy disks.
    MTOOLSRC: '/dev/null',
    MTOOLS_SKIP_CHECK: '1',
  };
  await sandbox.run(
    [
      ...['mkfs.vfat', '--invariant', '-i', volumeId.replace('-', '')],
      ...['-F', `${fat}`, '-s', `${sectorsPerCluster}`],
      ...(label ? ['-n', label] : []),
      ...['--offset', `${offsetBytes / SECTOR_BYTES}`, file, `${sizeBytes / 1024}`],
    ],
    { signal, env },
  );
  if (directory === undefined) return;
  // mcopy -s reads directories in the order of the file system, so the order is given: parents first, by name.
  await sandbox.run(['sh', '-euc', COPY, 'sh', `${file}@@${offsetBytes}`, `@${sourceDateEpoch}`], {
    signal,
    env,
    cwd: directory,
  });
}

const COPY = `
find . -mindepth 1 -newermt "$2" -exec touch --no-dereference --date="$2" {} +
find . -mindepth 1 -type d -printf '::%P\\0' | sort -z | xargs -0r mmd -i "$1"
find . -mindepth 1 -type f -printf '%P\\0' | sort -z |
  xargs -0r sh -euc 'image=$1; shift; for file; do mcopy -m -o -i "$image" "$file" "::$file"; done' sh "$1"`;

// Makes an ext4 file system at an offset of the disk file, filled from a directory, without mounting anything and
// without any trace of when and where that happened.
import { open } from 'node:fs/promises';
import type { StageContext } from '../sandbox/stage-context.ts';
import type { PlannedPartition } from './disk-plan.ts';
import { gatherMetadata } from './ext4-gather.ts';
import type { FileSystemSource } from './tree.ts';

// Not left to mke2fs.conf of the building machine. All that Linux 5.4 (Ubuntu 20.04) mounts and GRUB 2.04 reads:
// so neither orphan_file nor metadata_csum_seed.
const FEATURES = [
  'none',
  'has_journal',
  'ext_attr',
  'resize_inode',
  'dir_index',
  'filetype',
  'extent',
  '64bit',
  'flex_bg',
  'sparse_super',
  'large_file',
  'huge_file',
  'dir_nlink',
  'extra_isize',
  'metadata_csum',
].join(',');

/**
 * Writes the file system of `partition` into `disk`; without a source it is empty.
 * @throws DiskError DOES_NOT_FIT; ToolError
 */
export async function makeExt4(
  disk: string,
  partition: PlannedPartition,
  source: FileSystemSource | undefined,
  context: StageContext,
): Promise<void> {
  const { sandbox, signal, sourceDateEpoch } = context;
  const uuid = partition.fileSystem?.uuid ?? '';
  const env = {
    MKE2FS_CONFIG: '/dev/null',
    SOURCE_DATE_EPOCH: `${sourceDateEpoch}`,
    // What e2fsprogs before 1.47.1 knows instead.
    E2FSPROGS_FAKE_TIME: `${sourceDateEpoch}`,
  };
  const extended = [
    `offset=${partition.startBytes}`,
    `hash_seed=${uuid}`,
    'root_owner=0:0',
    // The file is sparse and new: nothing to discard, nothing to zero, now or at first boot.
    'nodiscard',
    'lazy_itable_init=1',
    'lazy_journal_init=1',
  ];
  await sandbox.run(
    [
      ...['mke2fs', '-q', '-F', '-t', 'ext4', '-b', '4096', '-I', '256', '-i', '16384', '-O', FEATURES],
      ...['-U', uuid, '-E', extended.join(','), ...(source ? ['-d', source.directory] : [])],
      ...[disk, `${partition.sizeBytes / 1024}k`],
    ],
    { signal, env },
  );
  const volume = `${disk}?offset=${partition.startBytes}`;
  const usage = await sandbox.run(['dumpe2fs', volume], { signal, env });
  const inodes = usedInodes(usage);
  const gathered = await gather(sandbox.hostPath(disk), partition.startBytes, usage, inodes);
  const script = fixAttributes(inodes, source, sourceDateEpoch, gathered);
  await sandbox.run(['debugfs', '-w', '-f', '-', volume], { signal, env, input: script });
}

async function gather(
  path: string,
  offset: number,
  usage: string,
  inodes: readonly number[],
): Promise<string[]> {
  const disk = await open(path, 'r+');
  try {
    return await gatherMetadata({ disk, offset }, usage, inodes);
  } finally {
    await disk.close();
  }
}

/**
 * A debugfs script. mke2fs copies ctime and atime from the tree, and those are when it was unpacked and last read;
 * the root inode does not get the mode and the owner of its directory. The count of KiB that were ever written depends
 * on what the cache of mke2fs held back; 0 means that nobody counts, and `-a` says so in the backup superblocks, too.
 */
function fixAttributes(
  inodes: readonly number[],
  source: FileSystemSource | undefined,
  epoch: number,
  gathered: readonly string[],
): string {
  const lines = inodes.flatMap((inode) => [
    `sif <${inode}> ctime @${epoch}`,
    `sif <${inode}> atime @${epoch}`,
  ]);
  lines.push(`sif <2> mtime @${epoch}`);
  if (source)
    lines.push(
      `sif <2> mode 04${source.mode.padStart(4, '0')}`,
      `sif <2> uid ${source.uid}`,
      `sif <2> gid ${source.gid}`,
    );
  lines.push(...gathered, 'ssv kbytes_written 0', 'close -a');
  return `${lines.join('\n')}\n`;
}

/** Inodes in use: the root and those behind the reserved ones, from the free ranges that dumpe2fs prints per group. */
export function usedInodes(dump: string): number[] {
  const total = Number(/^Inode count:\s+(\d+)$/m.exec(dump)?.[1]);
  const first = Number(/^First inode:\s+(\d+)$/m.exec(dump)?.[1]);
  const free = [...dump.matchAll(/^ {2}Free inodes: (.*)$/gm)]
    .flatMap(([, ranges = '']) => ranges.split(', ').filter(Boolean))
    .map((range) => range.split('-').map(Number))
    .map(([from = 0, to = from]) => ({ from, to }));
  const used = [2];
  let next = first;
  for (const { from, to } of free) {
    for (; next < from; next++) used.push(next);
    next = to + 1;
  }
  for (; next <= total; next++) used.push(next);
  return used;
}

// Makes an ext4 file system at an offset of the disk file, filled from a directory, without mounting anything and
// without any trace of when and where that happened.
import { open, rm } from 'node:fs/promises';
import type { StageContext } from '../sandbox/stage-context.ts';
import type { PlannedPartition } from './disk-plan.ts';
import { type Arrangement, arrangeExt4, type NewFileSystem } from './ext4-arrange.ts';
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
    `hash_seed=${uuid}`,
    'root_owner=0:0',
    // The file is sparse and new: nothing to discard, nothing to zero, now or at first boot.
    'nodiscard',
    'lazy_itable_init=1',
    'lazy_journal_init=1',
  ];
  // Beside the disk, where there is room for it.
  const scratch = `${disk}.ext4`;
  let lines: string[];
  try {
    await sandbox.run(
      [
        ...['mke2fs', '-q', '-F', '-t', 'ext4', '-b', '4096', '-I', '256', '-i', '16384', '-O', FEATURES],
        ...['-U', uuid, '-E', extended.join(','), ...(source ? ['-d', source.directory] : [])],
        ...[scratch, `${partition.sizeBytes / 1024}k`],
      ],
      { signal, env },
    );
    const dump = await sandbox.run(['dumpe2fs', scratch], { signal, env });
    lines = await arrange(
      { path: sandbox.hostPath(scratch), dump, inodes: usedInodes(dump), uuid },
      { path: sandbox.hostPath(disk), offset: partition.startBytes },
      { epoch: sourceDateEpoch, ...(source && { root: source }), signal },
    );
  } finally {
    await rm(sandbox.hostPath(scratch), { force: true });
  }
  // The count of KiB that were ever written depends on what the cache of mke2fs held back; 0 means that nobody counts, and `-a`
  // says so in the backup superblocks, too.
  const script = [...lines, 'ssv kbytes_written 0', 'close -a', ''].join('\n');
  const volume = `${disk}?offset=${partition.startBytes}`;
  await sandbox.run(['debugfs', '-w', '-f', '-', volume], { signal, env, input: script });
}

async function arrange(
  { path, ...from }: Omit<NewFileSystem, 'file'> & { path: string },
  target: { path: string; offset: number },
  arrangement: Arrangement,
): Promise<string[]> {
  const file = await open(path, 'r');
  try {
    const disk = await open(target.path, 'r+');
    try {
      return await arrangeExt4({ file, ...from }, { disk, offset: target.offset }, arrangement);
    } finally {
      await disk.close();
    }
  } finally {
    await file.close();
  }
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

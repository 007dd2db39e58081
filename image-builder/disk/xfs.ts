// Makes an xfs file system in the disk file, filled from a directory, without mounting anything: mkfs.xfs takes a
// prototype (xfs_protofile), and xfs_db(8) writes what a prototype cannot say. For data partitions: hard links, extended
// attributes, and names with white space have no way into a prototype.
import { rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { StageContext } from '../sandbox/stage-context.ts';
import { DiskError } from './disk-error.ts';
import type { PlannedPartition } from './disk-plan.ts';
import type { FileSystemSource } from './tree.ts';

/** A file of the source. */
export interface XfsEntry {
  /** Relative to the root of the file system; empty for the root. */
  path: string;
  /** st_mode: type and permissions. */
  mode: number;
  uid: number;
  gid: number;
  /** Seconds since the epoch. */
  mtime: number;
  links: number;
  /** Names of extended attributes. */
  attributes: string[];
  /** Target of a symbolic link. */
  target?: string;
}

// What Linux 5.4 (Ubuntu 20.04) mounts, whatever the building machine's mkfs.xfs prefers. Without bigtime, xfs_db can
// set times; `xfs_admin -O bigtime=1` adds it.
const METADATA = 'crc=1,finobt=1,reflink=1,rmapbt=0,bigtime=0,inobtcount=0';
const TYPE_MASK = 0o170000;
const TYPES = new Map([
  [0o040000, 'd'],
  [0o100000, '-'],
  [0o120000, 'l'],
]);

/**
 * Writes the file system of `partition` into `disk`; without a source it is empty.
 * @throws DiskError TREE_UNUSABLE, naming the files that a prototype cannot describe
 */
export async function makeXfs(
  disk: string,
  partition: PlannedPartition,
  source: FileSystemSource | undefined,
  context: StageContext,
): Promise<void> {
  const { sandbox, signal, workDir, sourceDateEpoch } = context;
  const entries = source ? await listEntries(source, context) : [emptyRoot(sourceDateEpoch)];
  checkEntries(entries, partition.mount ?? '');
  // mkfs.xfs knows no offset, so the file system gets a file of its own. The names in it are fixed: a prototype has no
  // quotes, and the work directory may be called anything.
  const scratch = join(workDir, `xfs-${partition.number}`);
  const image = join(scratch, 'image');
  try {
    await sandbox.run(['mkdir', scratch], { signal });
    if (source) await sandbox.run(['ln', '-s', source.directory, join(scratch, 'source')], { signal });
    await writeFile(join(scratch, 'prototype'), renderPrototype(entries));
    await writeFile(image, '');
    await truncate(image, partition.sizeBytes);
    const uuid = partition.fileSystem?.uuid ?? '';
    const options = ['-m', `${METADATA},uuid=${uuid}`, '-i', 'sparse=1', '-d', 'agcount=4', '-s', 'size=512'];
    await sandbox.run(['mkfs.xfs', '-q', '-K', '-p', 'prototype', ...options, 'image'], {
      signal,
      cwd: scratch,
    });
    await setAttributes(image, entries, context);
    // Holes are not copied.
    const target = [
      `driver=raw,offset=${partition.startBytes},size=${partition.sizeBytes}`,
      `file.driver=file,file.filename=${disk.replaceAll(',', ',,')}`,
    ];
    await sandbox.run(
      [
        ...['qemu-img', 'convert', '-n', '--target-is-zero', '--target-image-opts', '-f', 'raw'],
        ...[image, target.join(',')],
      ],
      { signal },
    );
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

const emptyRoot = (mtime: number): XfsEntry => ({
  ...{ path: '', mode: 0o040755, uid: 0, gid: 0, mtime, links: 2, attributes: [] },
});

async function listEntries(
  { directory }: FileSystemSource,
  { sandbox, signal }: StageContext,
): Promise<XfsEntry[]> {
  const output = await sandbox.run(['python3', '-c', LIST, directory], { signal });
  return output
    .split('\n')
    .filter(Boolean)
    .map((line): XfsEntry => JSON.parse(line));
}

// Sorted by the bytes of the names, parents first. Names that are not UTF-8 come out escaped, and are refused.
const LIST = `
import json, os, stat, sys
top = os.fsencode(sys.argv[1])
def show(path, relative):
    info = os.lstat(path)
    link = stat.S_ISLNK(info.st_mode)
    entry = dict(path=os.fsdecode(relative), mode=info.st_mode, uid=info.st_uid, gid=info.st_gid,
                 mtime=int(info.st_mtime), links=info.st_nlink,
                 attributes=os.listxattr(path, follow_symlinks=False))
    if link: entry["target"] = os.fsdecode(os.readlink(path))
    print(json.dumps(entry))
    if stat.S_ISDIR(info.st_mode):
        for name in sorted(os.listdir(path)):
            show(os.path.join(path, name), os.path.join(relative, name))
show(top, b"")`;

/** A word of a prototype and of xfs_db's commands: neither knows quotes. */
const WORD = /^(?![$:])[!#-&(-[\]-~]+$/;
const SHOWN = 5;

/** @throws DiskError TREE_UNUSABLE with what is wrong of the first files */
export function checkEntries(entries: readonly XfsEntry[], mount: string): void {
  const problems = entries.flatMap((entry) => {
    const { path, mode, links, attributes, target } = entry;
    const type = TYPES.get(mode & TYPE_MASK);
    const attribute = attributes.find((name) => name !== 'security.selinux');
    const words = [...(path === '' ? [] : path.split('/')), ...(target === undefined ? [] : [target])];
    const problem =
      type === undefined
        ? 'is neither a file, a directory nor a link'
        : type === '-' && links > 1
          ? 'has hard links'
          : attribute !== undefined
            ? `has the extended attribute ${attribute}`
            : words.some((word) => !WORD.test(word))
              ? 'has white space or quotes in its name or target'
              : undefined;
    return problem === undefined ? [] : [`${mount}/${path} ${problem}`];
  });
  if (problems.length === 0) return;
  const more = problems.length > SHOWN ? `, and ${problems.length - SHOWN} more` : '';
  throw new DiskError(
    'TREE_UNUSABLE',
    `mkfs.xfs cannot store the content of ${mount}: ${problems.slice(0, SHOWN).join('; ')}${more}`,
    { hint: `Use ext4 for ${mount}.` },
  );
}

/**
 * A prototype: the block count and inode count (unused), then each file with mode, owner and source; a directory ends
 * with `$`. Sources are below `source`, relative to the working directory of mkfs.xfs.
 */
export function renderPrototype(entries: readonly XfsEntry[]): string {
  const lines = ['image', '0 0'];
  const open: string[] = [];
  for (const { path, mode, uid, gid, target } of entries) {
    while (open.length > 0 && path !== '' && !isInside(path, open.at(-1) as string)) {
      open.pop();
      lines.push('$');
    }
    const type = TYPES.get(mode & TYPE_MASK) ?? '-';
    const set = `${mode & 0o4000 ? 'u' : '-'}${mode & 0o2000 ? 'g' : '-'}`;
    const permissions = (mode & 0o777).toString(8).padStart(3, '0');
    const name = path === '' ? '' : `${path.split('/').at(-1)} `;
    const content = type === '-' ? ` source/${path}` : type === 'l' ? ` ${target}` : '';
    lines.push(`${name}${type}${set}${permissions} ${uid} ${gid}${content}`);
    if (type === 'd') open.push(path);
  }
  lines.push(...open.map(() => '$'));
  return `${lines.join('\n')}\n`;
}

const isInside = (path: string, directory: string) => directory === '' || path.startsWith(`${directory}/`);

/** Modes (a prototype has no sticky bit) and times, which mkfs.xfs takes from the clock. */
async function setAttributes(
  image: string,
  entries: readonly XfsEntry[],
  { sandbox, signal, sourceDateEpoch }: StageContext,
): Promise<void> {
  const run = (commands: readonly string[]) =>
    sandbox.run(['xfs_db', '-x', image], {
      signal,
      input: `${commands.join('\n')}\n`,
      env: { TZ: 'UTC', LC_ALL: 'C' },
    });
  const writeTimes = (mtime: number) => [
    `write core.mtime.sec ${timestamp(Math.min(mtime, sourceDateEpoch))}`,
    ...['core.atime.sec', 'core.ctime.sec', 'v3.crtime.sec'].map(
      (field) => `write ${field} ${timestamp(sourceDateEpoch)}`,
    ),
  ];
  // Inodes of the realtime section, which every xfs has.
  const hidden = await run(['sb 0', 'print rbmino', 'print rsumino']);
  await run([
    ...[...hidden.matchAll(/ = (\d+)$/gm)].flatMap(([, inode]) => [
      `inode ${inode}`,
      ...writeTimes(sourceDateEpoch),
    ]),
    ...entries.flatMap(({ path, mode, mtime }) => [
      `path /${path}`,
      `write core.mode 0${mode.toString(8)}`,
      ...writeTimes(mtime),
    ]),
  ]);
  // That the seconds are written as a whole time stamp is how xfs_db behaves, not what its manual promises.
  const written = await run(['path /', 'print core.ctime.sec', 'print core.ctime.nsec']);
  const seconds = Date.parse(`${/core\.ctime\.sec = (.*)/.exec(written)?.[1]} UTC`) / 1000;
  if (seconds !== sourceDateEpoch || !/core\.ctime\.nsec = 0$/m.test(written))
    throw new DiskError('TREE_UNUSABLE', 'the xfs_db of this machine cannot set times', {
      hint: 'Use ext4; xfsprogs 6.1 (Debian 12) is known to work.',
    });
}

/** Both halves of an on-disk time stamp: seconds, and no nanoseconds. */
const timestamp = (seconds: number) => (BigInt(seconds) << 32n).toString();

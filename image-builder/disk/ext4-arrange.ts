// Copies a new ext4 file system to the disk, and arranges it so that little of the disk differs from one image to the next.
//
// mke2fs lays directories and the outer nodes of extent trees between the files. They hold inode numbers and checksums that the UUID
// goes into, so all of them differ in every image: here they lie next to each other, a few clusters. Files are moved to where
// ext4-places.ts says. No block of a file or directory says where it lies, so blocks are copied, and inodes and outer nodes point to
// their new places; debugfs writes the bitmaps. Layout: https://docs.kernel.org/filesystems/ext4/
import type { FileHandle } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { throwIfCancelled } from '../base/diagnostics/cancelled.ts';
import { readAt, readIntoSync, writeAt, writeAtSync } from '../qcow2/positional.ts';
import {
  BLOCK_BYTES,
  Checksums,
  depthOf,
  type Extent,
  extentsIn,
  extentsOf,
  INODE_BYTES,
  type Inode,
  isDirectory,
  joinExtents,
  type Leaf,
  leavesOf,
  moveExtent,
  moveLeaf,
  type Run,
  setRoot,
  setTimes,
  sizeOf,
} from './ext4-inode.ts';
import { CLUSTER_BLOCKS, joinRuns, placeFiles, Room, withoutRuns } from './ext4-places.ts';

const ROOT_INODE = 2;
/** Of a group: its block bitmap has not been written. */
const BLOCK_UNINIT = 2;
const FLAGS: Record<string, number> = { INODE_UNINIT: 1, BLOCK_UNINIT, ITABLE_ZEROED: 4 };
const COPY_BYTES = 1024 ** 2;
const ZEROS = Buffer.alloc(COPY_BYTES);

/** What dumpe2fs prints of a block group. */
interface Group {
  number: number;
  first: number;
  last: number;
  inodeTable: number;
  freeBlocks: number;
  free: Run[];
  flags: number;
}

/** A file system that mke2fs has just written. */
export interface NewFileSystem {
  file: FileHandle;
  /** What dumpe2fs prints of it. */
  dump: string;
  /** Numbers of the inodes in use, the root among them, without the reserved ones. */
  inodes: readonly number[];
  uuid: string;
}

/** What it becomes. */
export interface Arrangement {
  /** The time of the last change and access of all files, and of all changes of the root; seconds. */
  epoch: number;
  /** Attributes of the root; default: those that it has. */
  root?: { mode: string; uid: number; gid: number };
  signal: AbortSignal;
}

/**
 * Copies the file system to `disk`, which holds zeros there. What there is no room for stays where it is.
 * @param offset where it begins on the disk, in bytes
 * @returns lines for debugfs, without which the file system on the disk is not consistent
 */
export async function arrangeExt4(
  from: NewFileSystem,
  { disk, offset }: { disk: FileHandle; offset: number },
  { epoch, root, signal }: Arrangement,
): Promise<string[]> {
  const groups = parseGroups(from.dump);
  const perGroup = Number(/^Inodes per group:\s+(\d+)$/m.exec(from.dump)?.[1]);
  const tables = await readTables(from, groups, perGroup);
  const inodes = tables.flatMap((table) => table.inodes);
  const content = await readContent(from.file, inodes);
  const used = withoutRuns(
    groups.map(({ first, last }) => ({ start: first, length: last - first + 1 })),
    joinRuns(groups.flatMap(({ free }) => free)),
  );
  const { moves, before, after } = plan(content, used, groups);

  const checksums = new Checksums(from.uuid);
  for (const inode of inodes) {
    setTimes(inode, epoch);
    if (inode.number === ROOT_INODE) setRoot(inode, epoch, root);
    checksums.setInode(inode);
  }
  const volume = { from: from.file, disk, offset, signal };
  // Nothing has been written to the rest of the tables (lazy_itable_init).
  const tableRuns = groups.map(({ inodeTable }) => ({
    start: inodeTable,
    length: (perGroup * INODE_BYTES) / BLOCK_BYTES,
  }));
  for (const { start, length } of withoutRuns(joinRuns(used), joinRuns([...before, ...tableRuns])))
    await copyBlocks(volume, start, length, start);
  for (const { start, length, to } of joinMoves(moves)) await copyBlocks(volume, start, length, to);
  for (const { start, bytes } of tables) await writeAt(disk, bytes, offset + start * BLOCK_BYTES);
  for (const { inode, leaf } of content.leaves) {
    checksums.setLeaf(inode, leaf);
    await writeAt(disk, leaf.content, offset + leaf.block * BLOCK_BYTES);
  }
  const [freed, taken] = [withoutRuns(before, after), withoutRuns(after, before)];
  return [
    ...taken.map(({ start, length }) => `setb ${start} ${length}`),
    ...freed.map(({ start, length }) => `freeb ${start} ${length}`),
    ...groups.flatMap((group) => recount(group, freed, taken)),
  ];
}

function parseGroups(dump: string): Group[] {
  return dump
    .split(/^(?=Group \d+: )/m)
    .slice(1)
    .map((text) => {
      const [, number, first, last] = /^Group (\d+): \(Blocks (\d+)-(\d+)\)/.exec(text) ?? [];
      const flags = /^Group .*\[(.*)\]/.exec(text)?.[1]?.split(', ') ?? [];
      const free = /^ {2}Free blocks: (.*)$/m.exec(text)?.[1] ?? '';
      return {
        ...{ number: Number(number), first: Number(first), last: Number(last) },
        inodeTable: Number(/^ {2}Inode table at (\d+)/m.exec(text)?.[1]),
        freeBlocks: Number(/^ {2}(\d+) free blocks/m.exec(text)?.[1]),
        free: free
          .split(', ')
          .filter(Boolean)
          .map((range) => range.split('-').map(Number))
          .map(([from = 0, to = from]) => ({ start: from, length: to - from + 1 })),
        flags: flags.reduce((sum, flag) => sum + (FLAGS[flag] ?? 0), 0),
      };
    });
}

/** The part of an inode table that is in use. */
interface Table {
  /** First block. */
  start: number;
  bytes: Buffer;
  /** Views of `bytes`. */
  inodes: Inode[];
}

async function readTables(
  { file, inodes }: NewFileSystem,
  groups: readonly Group[],
  perGroup: number,
): Promise<Table[]> {
  const tables: Table[] = [];
  for (const { number, inodeTable } of groups) {
    const first = number * perGroup + 1;
    const inside = inodes.filter((inode) => inode >= first && inode < first + perGroup);
    if (inside.length === 0) continue;
    const bytes = await readAt(
      file,
      inodeTable * BLOCK_BYTES,
      (Math.max(...inside) - first + 1) * INODE_BYTES,
    );
    const view = (inode: number) =>
      bytes.subarray((inode - first) * INODE_BYTES, (inode - first + 1) * INODE_BYTES);
    tables.push({
      ...{ start: inodeTable, bytes },
      inodes: inside.map((inode) => ({ number: inode, content: view(inode) })),
    });
  }
  return tables;
}

/** What can move: blocks of files, of directories, and outer nodes. */
interface Content {
  files: { size: number; extents: Extent[]; lengths: number[] }[];
  directories: { inode: Inode; extents: Extent[] }[];
  leaves: { inode: Inode; leaf: Leaf }[];
}

/** In the order of the inodes, which is that of the tree. Trees that are deeper stay where they are. */
async function readContent(file: FileHandle, inodes: readonly Inode[]): Promise<Content> {
  const content: Content = { files: [], directories: [], leaves: [] };
  for (const inode of inodes) {
    const depth = depthOf(inode);
    if (depth === 0 && isDirectory(inode)) {
      content.directories.push({ inode, extents: extentsIn(inode) });
    } else if (depth === 0 || (depth === 1 && !isDirectory(inode))) {
      const extents = depth === 0 ? extentsIn(inode) : [];
      for (const { at, block } of depth === 1 ? leavesOf(inode) : []) {
        const leaf = { at, block, content: await readAt(file, block * BLOCK_BYTES, BLOCK_BYTES) };
        content.leaves.push({ inode, leaf });
        extents.push(...extentsOf(leaf));
      }
      if (extents.length === 0) continue;
      content.files.push({ size: sizeOf(inode), extents, lengths: extents.map(({ length }) => length) });
    }
  }
  return content;
}

interface Plan {
  moves: (Run & { to: number })[];
  /** Blocks of what moves, joined: where they were, and where they are. */
  before: Run[];
  after: Run[];
}

/** Finds places, and writes them into inodes and outer nodes. */
function plan({ files, directories, leaves }: Content, used: readonly Run[], groups: readonly Group[]): Plan {
  const blocks = groups.map(({ first, last }) => ({ start: first, length: last - first + 1 }));
  const metadata = [
    ...directories.flatMap(({ extents }) => extents),
    ...leaves.map(({ leaf }) => ({ start: leaf.block, length: 1 })),
  ];
  const count = metadata.reduce((sum, { length }) => sum + length, 0);
  const roomWithout = (movable: readonly Run[]) =>
    new Room(withoutRuns(joinRuns(blocks), withoutRuns(joinRuns(used), joinRuns(movable))));

  const all = [...metadata, ...files.flatMap(({ extents }) => extents)];
  let room = roomWithout(all);
  let first = room.take(count, CLUSTER_BLOCKS);
  const places = first === undefined ? undefined : placeFiles(files, room);
  if (!places) {
    // A disk that is nearly full: files stay, and the rest goes where all of it fits.
    room = roomWithout([]);
    first = room.take(count, 1);
  }
  if (first === undefined) return { moves: [], before: [], after: [] };

  const moves: Plan['moves'] = [];
  let next = first;
  const put = (run: Run): number => {
    const to = next;
    moves.push({ start: run.start, length: run.length, to });
    next += run.length;
    return to;
  };
  for (const { inode, extents } of directories) {
    const length = extents.reduce((sum, extent) => sum + extent.length, 0);
    if (length === 0) continue;
    const start = next;
    extents.forEach(put);
    joinExtents(inode, { start, length });
  }
  for (const { inode, leaf } of leaves) {
    const to = put({ start: leaf.block, length: 1 });
    moveLeaf(inode, leaf, to);
    leaf.block = to;
  }
  for (const [file, starts] of places ?? []) {
    for (const [order, extent] of file.extents.entries()) {
      const to = starts[order] as number;
      moves.push({ start: extent.start, length: extent.length, to });
      moveExtent(extent, to);
    }
  }
  return {
    moves,
    before: joinRuns(moves),
    after: joinRuns(moves.map(({ to, length }) => ({ start: to, length }))),
  };
}

/** Neighbours that stay neighbours are copied at once. */
function joinMoves(moves: Plan['moves']): Plan['moves'] {
  const joined: Plan['moves'] = [];
  for (const { start, length, to } of moves) {
    const last = joined.at(-1);
    if (last && last.start + last.length === start && last.to + last.length === to) last.length += length;
    else joined.push({ start, length, to });
  }
  return joined;
}

const buffer = Buffer.alloc(COPY_BYTES);

/** Copies blocks; holes stay holes. */
async function copyBlocks(
  { from, disk, offset, signal }: { from: FileHandle; disk: FileHandle; offset: number; signal: AbortSignal },
  start: number,
  length: number,
  to: number,
): Promise<void> {
  const bytes = length * BLOCK_BYTES;
  for (let done = 0; done < bytes; done += COPY_BYTES) {
    const part = buffer.subarray(0, Math.min(COPY_BYTES, bytes - done));
    readIntoSync(part, from, start * BLOCK_BYTES + done);
    if (part.equals(ZEROS.subarray(0, part.length))) continue;
    writeAtSync(disk, part, offset + to * BLOCK_BYTES + done);
    if (done % (16 * COPY_BYTES) === 0 && part.length === COPY_BYTES) {
      await setImmediate();
      throwIfCancelled(signal);
    }
  }
}

/** debugfs changes the bitmaps only. */
function recount({ number, first, last, freeBlocks, flags }: Group, freed: Run[], taken: Run[]): string[] {
  const inside = (runs: readonly Run[]) =>
    runs.reduce((sum, { start, length }) => {
      const [from, to] = [Math.max(start, first), Math.min(start + length - 1, last)];
      return sum + Math.max(0, to - from + 1);
    }, 0);
  const [more, less] = [inside(freed), inside(taken)];
  if (more === 0 && less === 0) return [];
  return [
    `set_bg ${number} free_blocks_count ${freeBlocks + more - less}`,
    `set_bg ${number} flags ${flags & ~BLOCK_UNINIT}`,
    `set_bg ${number} checksum calc`,
  ];
}

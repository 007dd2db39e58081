// Moves the directories of a new ext4 file system, and the outer nodes of extent trees, next to each other.
//
// mke2fs lays them between the files. They hold inode numbers and checksums that the UUID goes into, so all of them differ
// in every image, and each would make a cluster of the disk differ in which files have stayed the same: an update would
// have to fetch half of the image. Together they are a few clusters. No block says where it lies, so blocks are copied, and
// debugfs writes the pointers and the bitmaps. Layout: https://docs.kernel.org/filesystems/ext4/
import type { FileHandle } from 'node:fs/promises';
import { readAt, writeAt } from '../qcow2/positional.ts';

const BLOCK_BYTES = 4096;
const INODE_BYTES = 256;
const EXTENTS_FLAG = 0x80000;
const DIRECTORY = 0x4000;
const FILE_TYPE = 0xf000;
/** Of an inode, in bytes: mode, flags, and the root of its extent tree. */
const INODE = { mode: 0, flags: 0x20, tree: 0x28 };
const TREE_MAGIC = 0xf30a;
/** Bytes of a node's header and of each entry behind it. */
const NODE_BYTES = 12;
const ROOT_ENTRIES = 4;
/** Of a group: its block bitmap has not been written. */
const BLOCK_UNINIT = 2;
const FLAGS: Record<string, number> = { INODE_UNINIT: 1, BLOCK_UNINIT, ITABLE_ZEROED: 4 };

/** What dumpe2fs prints of a block group. */
interface Group {
  number: number;
  first: number;
  last: number;
  inodeTable: number;
  freeBlocks: number;
  /** First and last blocks. */
  free: [number, number][];
  flags: number;
}

/** Blocks that move together, and who points to them. */
interface Movable {
  inode: number;
  /** In the order of their content. */
  blocks: number[];
  /** Of a directory all its blocks; otherwise that entry in the root of the extent tree. */
  entry?: number;
}

/**
 * Copies the blocks to where there is room for all of them; if there is none, nothing happens.
 * @param volume the disk, and where the file system begins on it in bytes
 * @param dump what dumpe2fs prints of it
 * @param inodes numbers of the inodes in use
 * @returns lines for debugfs, without which the file system is not consistent
 */
export async function gatherMetadata(
  volume: { disk: FileHandle; offset: number },
  dump: string,
  inodes: readonly number[],
): Promise<string[]> {
  const groups = parseGroups(dump);
  const perGroup = Number(/^Inodes per group:\s+(\d+)$/m.exec(dump)?.[1]);
  const movables = await findMovables(volume, groups, perGroup, inodes);
  const count = movables.reduce((sum, { blocks }) => sum + blocks.length, 0);
  const room = groups.flatMap(({ free }) => free).find(([first, last]) => last - first + 1 >= count);
  if (!room || count === 0) return [];
  const moves = new Map<number, number>();
  for (const block of movables.flatMap(({ blocks }) => blocks)) moves.set(block, room[0] + moves.size);
  // mke2fs makes no blocks that two inodes point to.
  if (moves.size !== count) return [];
  const zeros = Buffer.alloc(BLOCK_BYTES);
  for (const [from, to] of moves) {
    const content = await readAt(volume.disk, volume.offset + from * BLOCK_BYTES, BLOCK_BYTES);
    await writeAt(volume.disk, content, volume.offset + to * BLOCK_BYTES);
    await writeAt(volume.disk, zeros, volume.offset + from * BLOCK_BYTES);
  }
  return [
    ...movables.flatMap((movable) => pointTo(movable, moves.get(movable.blocks[0] ?? 0) ?? 0)),
    `setb ${room[0]} ${count}`,
    ...[...moves.keys()].map((block) => `freeb ${block}`),
    ...groups.flatMap((group) => recount(group, moves)),
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
          .map(([from = 0, to = from]): [number, number] => [from, to]),
        flags: flags.reduce((sum, flag) => sum + (FLAGS[flag] ?? 0), 0),
      };
    });
}

async function findMovables(
  { disk, offset }: { disk: FileHandle; offset: number },
  groups: readonly Group[],
  perGroup: number,
  inodes: readonly number[],
): Promise<Movable[]> {
  const movables: Movable[] = [];
  for (const { number, inodeTable } of groups) {
    const first = number * perGroup + 1;
    const inside = inodes.filter((inode) => inode >= first && inode < first + perGroup);
    const end = Math.max(0, ...inside.map((inode) => inode - first + 1));
    const table = await readAt(disk, offset + inodeTable * BLOCK_BYTES, end * INODE_BYTES);
    for (const inode of inside) {
      const at = (inode - first) * INODE_BYTES;
      movables.push(...movablesOf(inode, table.subarray(at, at + INODE_BYTES)));
    }
  }
  return movables;
}

function movablesOf(inode: number, content: Buffer): Movable[] {
  const tree = content.subarray(INODE.tree, INODE.tree + NODE_BYTES * (1 + ROOT_ENTRIES));
  const hasTree = (content.readUInt32LE(INODE.flags) & EXTENTS_FLAG) !== 0;
  if (!hasTree || tree.readUInt16LE(0) !== TREE_MAGIC) return [];
  const depth = tree.readUInt16LE(6);
  const entries = Array.from({ length: Math.min(tree.readUInt16LE(2), ROOT_ENTRIES) }, (_, entry) =>
    tree.subarray(NODE_BYTES * (1 + entry), NODE_BYTES * (2 + entry)),
  );
  const isDirectory = (content.readUInt16LE(INODE.mode) & FILE_TYPE) === DIRECTORY;
  if (depth === 0 && isDirectory) {
    const blocks = entries.flatMap((extent) => {
      const start = extent.readUInt32LE(8) + extent.readUInt16LE(6) * 2 ** 32;
      return Array.from({ length: extent.readUInt16LE(4) }, (_, block) => start + block);
    });
    return blocks.length > 0 ? [{ inode, blocks }] : [];
  }
  if (depth !== 1 || isDirectory) return [];
  return entries.map((index, entry) => ({
    ...{ inode, entry },
    blocks: [index.readUInt32LE(4) + index.readUInt16LE(8) * 2 ** 32],
  }));
}

/** The root of an extent tree is an array of 32-bit numbers to debugfs. */
function pointTo({ inode, blocks, entry }: Movable, to: number): string[] {
  const low = to % 2 ** 32;
  const high = Math.floor(to / 2 ** 32);
  const set = (place: number, value: number) => `sif <${inode}> block[${place}] ${value}`;
  if (entry !== undefined) return [set(4 + 3 * entry, low), set(5 + 3 * entry, high)];
  // One extent: all blocks follow each other now.
  return [
    set(0, TREE_MAGIC + 1 * 2 ** 16),
    ...[set(3, 0), set(4, blocks.length + high * 2 ** 16), set(5, low)],
    ...[6, 7, 8, 9, 10, 11].map((place) => set(place, 0)),
  ];
}

/** debugfs changes the bitmaps only. */
function recount({ number, first, last, freeBlocks, flags }: Group, moves: Map<number, number>): string[] {
  const isInside = (block: number) => block >= first && block <= last;
  const freed = [...moves.keys()].filter(isInside).length;
  const taken = [...moves.values()].filter(isInside).length;
  if (freed === 0 && taken === 0) return [];
  return [
    `set_bg ${number} free_blocks_count ${freeBlocks + freed - taken}`,
    `set_bg ${number} flags ${flags & ~BLOCK_UNINIT}`,
    `set_bg ${number} checksum calc`,
  ];
}

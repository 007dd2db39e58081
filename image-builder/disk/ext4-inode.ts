// Inodes of ext4 and their extents, read and changed in memory. Layout: https://docs.kernel.org/filesystems/ext4/
import { crc32c } from './crc32c.ts';

export const BLOCK_BYTES = 4096;
export const INODE_BYTES = 256;
const EXTENTS_FLAG = 0x80000;
const DIRECTORY = 0x4000;
const FILE_TYPE = 0xf000;
/** Of an inode, in bytes. */
const INODE = {
  ...{ mode: 0, uid: 2, size: 4, atime: 8, ctime: 12, mtime: 16, gid: 24, flags: 0x20, tree: 0x28 },
  ...{ generation: 0x64, sizeHigh: 0x6c, uidHigh: 0x78, gidHigh: 0x7a, checksum: 0x7c },
  ...{ extraSize: 0x80, checksumHigh: 0x82, ctimeExtra: 0x84, mtimeExtra: 0x88, atimeExtra: 0x8c },
};
/** Of the extra part, that the upper half of the checksum is in it. */
const WITH_CHECKSUM_HIGH = 4;
const TREE_MAGIC = 0xf30a;
/** Bytes of a node's header and of each entry behind it. */
const NODE_BYTES = 12;
const ROOT_ENTRIES = 4;
/** An extent that is longer has not been written: the rest is its length. */
const WRITTEN = 32_768;

/** Blocks that follow each other. */
export interface Run {
  start: number;
  length: number;
}

/** Blocks of a file, and where their place is written. */
export interface Extent extends Run {
  /** Of the node, in {@link Inode.content} or in a {@link Leaf}. */
  node: Buffer;
  at: number;
}

/** An outer node of an extent tree: a block. */
export interface Leaf {
  block: number;
  /** Where its place is written in the root. */
  at: number;
  content: Buffer;
}

/** An inode in use. */
export interface Inode {
  number: number;
  content: Buffer;
}

export const isDirectory = ({ content }: Inode): boolean =>
  (content.readUInt16LE(INODE.mode) & FILE_TYPE) === DIRECTORY;

/** Size of the file in bytes. */
export const sizeOf = ({ content }: Inode): number =>
  content.readUInt32LE(INODE.size) + content.readUInt32LE(INODE.sizeHigh) * 2 ** 32;

/** Depth of the extent tree, 0 when all extents are in the inode; undefined without a tree. */
export function depthOf({ content }: Inode): number | undefined {
  const hasTree = (content.readUInt32LE(INODE.flags) & EXTENTS_FLAG) !== 0;
  if (!hasTree || content.readUInt16LE(INODE.tree) !== TREE_MAGIC) return undefined;
  return content.readUInt16LE(INODE.tree + 6);
}

/** The extents in an inode whose tree has depth 0. */
export const extentsIn = ({ content }: Inode): Extent[] => extentsOfNode(content, INODE.tree, ROOT_ENTRIES);

/** The extents in an outer node. */
export const extentsOf = ({ content }: Leaf): Extent[] =>
  extentsOfNode(content, 0, Math.floor(BLOCK_BYTES / NODE_BYTES) - 1);

function extentsOfNode(node: Buffer, header: number, most: number): Extent[] {
  const count = Math.min(node.readUInt16LE(header + 2), most);
  return Array.from({ length: count }, (_, entry) => {
    const at = header + NODE_BYTES * (1 + entry);
    const length = node.readUInt16LE(at + 4);
    return {
      ...{ node, at, length: length > WRITTEN ? length - WRITTEN : length },
      start: node.readUInt32LE(at + 8) + node.readUInt16LE(at + 6) * 2 ** 32,
    };
  });
}

/** Blocks of the outer nodes of an inode whose tree has depth 1, with the places where that is written. */
export function leavesOf({ content }: Inode): Omit<Leaf, 'content'>[] {
  const count = Math.min(content.readUInt16LE(INODE.tree + 2), ROOT_ENTRIES);
  return Array.from({ length: count }, (_, entry) => {
    const at = INODE.tree + NODE_BYTES * (1 + entry);
    return { at, block: content.readUInt32LE(at + 4) + content.readUInt16LE(at + 8) * 2 ** 32 };
  });
}

/** Says that an extent begins at another block. */
export function moveExtent({ node, at }: Extent, start: number): void {
  node.writeUInt16LE(Math.floor(start / 2 ** 32), at + 6);
  node.writeUInt32LE(start % 2 ** 32, at + 8);
}

/** Says that an outer node is in another block. */
export function moveLeaf({ content }: Inode, { at }: Leaf, block: number): void {
  content.writeUInt32LE(block % 2 ** 32, at + 4);
  content.writeUInt16LE(Math.floor(block / 2 ** 32), at + 8);
}

/** Makes one extent of all: blocks of a directory that follow each other now. */
export function joinExtents({ content }: Inode, { start, length }: Run): void {
  const at = INODE.tree + NODE_BYTES;
  content.fill(0, at, at + NODE_BYTES * ROOT_ENTRIES);
  content.writeUInt16LE(1, INODE.tree + 2);
  content.writeUInt16LE(length, at + 4);
  content.writeUInt16LE(Math.floor(start / 2 ** 32), at + 6);
  content.writeUInt32LE(start % 2 ** 32, at + 8);
}

/** Sets the times of access and of the last change. */
export function setTimes(inode: Inode, epoch: number): void {
  setTime(inode, INODE.atime, INODE.atimeExtra, epoch);
  setTime(inode, INODE.ctime, INODE.ctimeExtra, epoch);
}

/** What the root directory looks like. */
export function setRoot(
  inode: Inode,
  epoch: number,
  source?: { mode: string; uid: number; gid: number },
): void {
  setTime(inode, INODE.mtime, INODE.mtimeExtra, epoch);
  if (!source) return;
  const { content } = inode;
  content.writeUInt16LE(DIRECTORY | Number.parseInt(source.mode, 8), INODE.mode);
  content.writeUInt16LE(source.uid & 0xffff, INODE.uid);
  content.writeUInt16LE(source.uid >>> 16, INODE.uidHigh);
  content.writeUInt16LE(source.gid & 0xffff, INODE.gid);
  content.writeUInt16LE(source.gid >>> 16, INODE.gidHigh);
}

/** Seconds in 32 bits, with two more beside the nanoseconds. */
function setTime({ content }: Inode, at: number, extra: number, epoch: number): void {
  content.writeUInt32LE(epoch % 2 ** 32, at);
  const low = content.readInt32LE(at);
  content.writeUInt32LE(((epoch - low) / 2 ** 32) & 3, extra);
}

/** The checksums of inodes and outer nodes of a file system. */
export class Checksums {
  readonly #seed: number;

  /** @param uuid of the file system */
  constructor(uuid: string) {
    this.#seed = crc32c(0xffff_ffff, Buffer.from(uuid.replaceAll('-', ''), 'hex'));
  }

  /** Writes that of an inode. */
  setInode(inode: Inode): void {
    const { content } = inode;
    const hasHigh = content.readUInt16LE(INODE.extraSize) >= WITH_CHECKSUM_HIGH;
    content.writeUInt16LE(0, INODE.checksum);
    if (hasHigh) content.writeUInt16LE(0, INODE.checksumHigh);
    const checksum = crc32c(this.#seedOf(inode), content);
    content.writeUInt16LE(checksum & 0xffff, INODE.checksum);
    if (hasHigh) content.writeUInt16LE(checksum >>> 16, INODE.checksumHigh);
  }

  /** Writes that of an outer node, behind the room for its entries. */
  setLeaf(inode: Inode, { content }: Leaf): void {
    const tail = NODE_BYTES * (1 + content.readUInt16LE(4));
    content.writeUInt32LE(crc32c(this.#seedOf(inode), content.subarray(0, tail)), tail);
  }

  #seedOf({ number, content }: Inode): number {
    const identity = Buffer.alloc(8);
    identity.writeUInt32LE(number, 0);
    content.copy(identity, 4, INODE.generation, INODE.generation + 4);
    return crc32c(this.#seed, identity);
  }
}

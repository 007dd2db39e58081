// Where the files of an ext4 go: which run of blocks each gets. Pure.
//
// mke2fs lays one file behind the other, so a file that is one block longer moves all that follow by a block, and every cluster of
// the disk differs. Here files are in groups that begin at a cluster. Where a group begins, the files themselves decide, so that the
// groups of two images that differ in some files are mostly the same, at the same places within clusters.
import { crc32c } from './crc32c.ts';
import type { Run } from './ext4-inode.ts';

/** Blocks of 4 KiB in a cluster of the disk (qcow2.ts). */
export const CLUSTER_BLOCKS = 256;
/** A group has that many blocks at least. */
const LEAST_BLOCKS = 4 * CLUSTER_BLOCKS;
/** One of so many files may begin a group, and every file that is large. */
const ONE_OF = 32;
const LARGE_BYTES = 1024 ** 2;

/** Blocks of a file: as many runs as it has extents, in their order. */
export interface PlacedFile {
  /** Bytes. */
  size: number;
  lengths: readonly number[];
}

/** Blocks that may be used, in their order, given out from the first to the last. */
export class Room {
  readonly #runs: readonly Run[];
  #run = 0;
  #next = 0;

  constructor(runs: readonly Run[]) {
    this.#runs = runs;
  }

  /** The first block of that many that follow each other; undefined when there is no such place. */
  take(length: number, alignment: number): number | undefined {
    for (let run = this.#run; run < this.#runs.length; run++) {
      const { start, length: available } = this.#runs[run] as Run;
      const first = Math.ceil(Math.max(this.#next, start) / alignment) * alignment;
      if (first + length > start + available) continue;
      this.#run = run;
      this.#next = first + length;
      return first;
    }
    return undefined;
  }
}

/** Groups of neighbours. */
export function groupFiles<File extends PlacedFile>(files: readonly File[]): File[][] {
  const groups: File[][] = [];
  let blocks = LEAST_BLOCKS;
  for (const file of files) {
    if (blocks >= LEAST_BLOCKS && mayBegin(file.size)) {
      groups.push([]);
      blocks = 0;
    }
    if (groups.length === 0) groups.push([]);
    groups.at(-1)?.push(file);
    blocks += sum(file.lengths);
  }
  return groups;
}

function mayBegin(size: number): boolean {
  if (size >= LARGE_BYTES) return true;
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(size);
  return crc32c(0xffff_ffff, bytes) % ONE_OF === 0;
}

/**
 * First blocks for the extents of each file; undefined when there is too little room.
 * @param files in their order
 */
export function placeFiles<File extends PlacedFile>(
  files: readonly File[],
  room: Room,
): Map<File, number[]> | undefined {
  const places = new Map<File, number[]>();
  for (const group of groupFiles(files)) {
    let next = room.take(sum(group.flatMap(({ lengths }) => lengths)), CLUSTER_BLOCKS);
    const isWhole = next !== undefined;
    for (const file of group) {
      const starts: number[] = [];
      for (const length of file.lengths) {
        // A group that fits nowhere, because one of its files does not, is laid extent by extent.
        if (!isWhole) next = room.take(length, 1);
        if (next === undefined) return undefined;
        starts.push(next);
        next += length;
      }
      places.set(file, starts);
    }
  }
  return places;
}

/** The runs sorted, and those that touch joined. */
export function joinRuns(runs: readonly Run[]): Run[] {
  const joined: Run[] = [];
  for (const { start, length } of [...runs].sort((a, b) => a.start - b.start)) {
    const last = joined.at(-1);
    if (last && start <= last.start + last.length)
      last.length = Math.max(last.length, start + length - last.start);
    else if (length > 0) joined.push({ start, length });
  }
  return joined;
}

/** What is in the first and not in the second, both as {@link joinRuns} gives them. */
export function withoutRuns(runs: readonly Run[], others: readonly Run[]): Run[] {
  const left: Run[] = [];
  let other = 0;
  for (const { start, length } of runs) {
    const end = start + length;
    let next = start;
    while (other < others.length && endOf(others[other]) <= start) other++;
    for (let at = other; at < others.length && (others[at] as Run).start < end; at++) {
      const { start: from } = others[at] as Run;
      if (from > next) left.push({ start: next, length: from - next });
      next = Math.max(next, endOf(others[at]));
    }
    if (next < end) left.push({ start: next, length: end - next });
  }
  return left;
}

const endOf = (run: Run | undefined) => (run ? run.start + run.length : 0);
const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);

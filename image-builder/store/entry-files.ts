// The files of an entry: their digests, and a snapshot of size, time and inode that says whether to read them again.
import { createHash } from 'node:crypto';
import { lstatSync } from 'node:fs';
import { lstat, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { throwIfCancelled } from '../base/diagnostics/cancelled.ts';
import { errnoOf } from '../base/diagnostics/errno.ts';

/** A regular file as it must be. */
export interface FileRecord {
  /** Bytes. */
  size: number;
  /** Hex SHA-256. */
  sha256: string;
}

/** State of each file when its digest was last known to be right: `size:mtime in ns:inode`. */
export type Snapshot = Record<string, string>;

const BLOCK = 1 << 20;

/** Hex SHA-256 of a file. In two blocks of memory: a stream makes a new one for each piece, at a quarter of the cost. */
export async function digestFile(path: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  const blocks = [Buffer.allocUnsafe(BLOCK), Buffer.allocUnsafe(BLOCK)] as const;
  const file = await open(path);
  let [block, next] = blocks;
  let reading = file.read(block, 0, BLOCK, null);
  try {
    for (let read = await reading; read.bytesRead > 0; read = await reading) {
      throwIfCancelled(signal);
      // The next block comes while this one is hashed.
      reading = file.read(next, 0, BLOCK, null);
      hash.update(block.subarray(0, read.bytesRead));
      [block, next] = [next, block];
    }
  } finally {
    await reading.catch(() => {});
    await file.close();
  }
  return hash.digest('hex');
}

/** Size and digest of every regular file below `directory`; `known` digests are taken as they are. */
export async function recordFiles(
  directory: string,
  known: Readonly<Record<string, string>> = {},
  signal?: AbortSignal,
): Promise<Record<string, FileRecord>> {
  const records: Record<string, FileRecord> = {};
  for (const path of await listFiles(directory)) {
    const { size } = await lstat(join(directory, path));
    records[path] = { size, sha256: known[path] ?? (await digestFile(join(directory, path), signal)) };
  }
  return records;
}

/** Paths of the regular files below `directory`, sorted, with `/` between the names. */
export async function listFiles(directory: string): Promise<string[]> {
  const paths: string[] = [];
  const walk = async (below: string) => {
    for (const item of await readdir(join(directory, below), { withFileTypes: true })) {
      const path = below ? `${below}/${item.name}` : item.name;
      if (item.isDirectory()) await walk(path);
      else if (item.isFile()) paths.push(path);
      else throw new Error(`${path} is neither a file nor a directory`);
    }
  };
  await walk('');
  return paths.sort();
}

/** The first file that is not as recorded, and in which way; undefined when all are. */
export async function verifyFiles(
  directory: string,
  files: Readonly<Record<string, FileRecord>>,
  signal?: AbortSignal,
): Promise<{ path: string; reason: string } | undefined> {
  for (const [path, record] of Object.entries(files)) {
    const found = await lstat(join(directory, path)).catch((error) => {
      if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
      throw error;
    });
    if (!found?.isFile()) return { path, reason: 'is missing' };
    if (found.size !== record.size)
      return { path, reason: `has ${found.size} bytes instead of ${record.size}` };
    const digest = await digestFile(join(directory, path), signal);
    if (digest !== record.sha256)
      return { path, reason: `has the digest ${digest} instead of ${record.sha256}` };
  }
  return undefined;
}

/** The state of the files now. */
export function snapshot(directory: string, files: Readonly<Record<string, FileRecord>>): Snapshot {
  const known: Snapshot = {};
  for (const path of Object.keys(files)) known[path] = stateOf(join(directory, path));
  return known;
}

/** Whether every file has its recorded size and is in the state of the snapshot. */
export function looksUntouched(
  directory: string,
  files: Readonly<Record<string, FileRecord>>,
  known: Snapshot,
): boolean {
  try {
    return Object.entries(files).every(([path, { size }]) => {
      const state = stateOf(join(directory, path));
      return state === known[path] && state.startsWith(`${size}:`);
    });
  } catch {
    return false;
  }
}

// The inode changes when a file is replaced, the time when it is written to. Not ctime: a hard link changes it too.
// Synchronous: the way through Node's threads and back costs ten times what the kernel needs, for each of fifty files.
function stateOf(path: string): string {
  const { size, mtimeNs, ino } = lstatSync(path, { bigint: true });
  return `${size}:${mtimeNs}:${ino}`;
}

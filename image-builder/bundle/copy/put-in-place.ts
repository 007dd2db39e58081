// Moves verified copies into place without overwriting anything but earlier copies.

import { constants } from 'node:fs';
import { link, lstat, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { throwIfCancelled } from '../../base/diagnostics/cancelled.ts';
import { errnoOf } from '../../base/diagnostics/errno.ts';
import type { Checksums } from '../model.ts';
import { CHECKSUM_ALGORITHMS, RunningChecksums } from '../running-checksums.ts';
import type { WantedFile } from './disk-files.ts';
import type { UnpackedFile } from './unpack-layer.ts';

/** An existing file with the name of one to be copied. */
export interface ExistingFile {
  name: string;
  size: number;
  /** Whether it is a copy already; undefined when the bundle has no checksum to tell by. */
  isCopy: boolean | undefined;
  sums?: Checksums;
}

/**
 * The files that exist under the wanted names, compared with the checksums of the bundle where it has any.
 * @throws CancelledError; the error of a system call
 */
export async function existingFiles(
  directory: string,
  wanted: readonly WantedFile[],
  signal?: AbortSignal,
): Promise<ExistingFile[]> {
  const found: ExistingFile[] = [];
  for (const { name, size, expected } of wanted) {
    const path = join(directory, name);
    const there = await lstat(path).catch(() => undefined);
    if (!there) continue;
    const isKnown = CHECKSUM_ALGORITHMS.some((algorithm) => expected[algorithm] !== undefined);
    if (!there.isFile() || there.size !== size) found.push({ name, size: there.size, isCopy: false });
    else if (!isKnown) found.push({ name, size, isCopy: undefined });
    else {
      const sums = await checksums(path, signal);
      const isCopy = CHECKSUM_ALGORITHMS.every(
        (one) => expected[one] === undefined || expected[one] === sums[one],
      );
      found.push({ name, size, isCopy, sums });
    }
  }
  return found;
}

/**
 * Moves an unpacked file into a directory.
 * @param force replace an existing file of another content
 * @returns `placed`; `same` when an identical file was there already; `other` when a different one was, which stays
 */
export async function putInPlace(
  from: string,
  directory: string,
  file: UnpackedFile,
  force: boolean,
  signal?: AbortSignal,
): Promise<'placed' | 'same' | 'other'> {
  const path = join(directory, file.name);
  if (force) {
    if ((await lstat(path).catch(() => undefined))?.isDirectory()) return 'other';
    await rename(from, path);
    return 'placed';
  }
  // Unlike rename(2), link(2) never replaces a file that somebody has just put there.
  const outcome = await link(from, path).then(
    () => 'linked',
    (error: unknown) => errnoOf(error) ?? 'unknown',
  );
  if (outcome === 'linked') {
    await rm(from);
    return 'placed';
  }
  const there = await lstat(path).catch(() => undefined);
  if (!there) {
    // A file system without hard links.
    await rename(from, path);
    return 'placed';
  }
  const isSame = there.isFile() && there.size === file.size;
  return isSame && (await checksums(path, signal)).sha256 === file.sha256 ? 'same' : 'other';
}

async function checksums(path: string, signal: AbortSignal | undefined): Promise<Checksums> {
  const running = new RunningChecksums();
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const stream = file.createReadStream({ highWaterMark: 1024 * 1024, autoClose: false });
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      throwIfCancelled(signal);
      running.update(chunk);
    }
  } finally {
    await file.close();
  }
  return running.finish();
}

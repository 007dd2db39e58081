// Unpacks files of one layer in one pass and hashes them as they stream past; they count once the whole layer is verified.

import { constants } from 'node:fs';
import { copyFile, type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { throwIfCancelled } from '../../base/diagnostics/cancelled.ts';
import { expansionLimit } from '../../oci/codec/compression.ts';
import { RegistryError } from '../../oci/http/registry-error.ts';
import type { Image } from '../../oci/image.ts';
import type { Descriptor } from '../../oci/model.ts';
import { StreamByteReader } from '../../oci/tar/byte-reader.ts';
import { TarReader } from '../../oci/tar/reader.ts';
import { BundleError } from '../bundle-error.ts';
import type { Checksums } from '../model.ts';
import { cleanPath } from '../read/overlay/path.ts';
import { CHECKSUM_ALGORITHMS, RunningChecksums } from '../running-checksums.ts';
import type { Expected, WantedFile } from './disk-files.ts';

const ZEROS = Buffer.alloc(1024 * 1024);
const OVERWRITE = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW;

/** A file that has been unpacked. */
export interface UnpackedFile extends Checksums {
  name: string;
  /** Bytes. */
  size: number;
}

/**
 * Unpacks files into a directory, see {@link unpackedPath}.
 * @throws BundleError CHECKSUM_MISMATCH, RegistryError, TarError
 */
export async function copyLayer(
  image: Image,
  layer: Descriptor,
  files: readonly WantedFile[],
  directory: string,
): Promise<UnpackedFile[]> {
  const unpacked = new Map<string, UnpackedFile>();
  let room = expansionLimit(layer.size);
  const opened = image.layer(layer);
  const bytes = new StreamByteReader(opened.tar);
  try {
    const tar = new TarReader(bytes, `layer ${layer.digest}`);
    for (let entry = await tar.next(); entry; entry = await tar.next()) {
      throwIfCancelled(image.signal);
      const path = cleanPath(entry.path);
      // With hard links several files come from one entry.
      const [first, ...others] = files.filter(({ origin }) => entry?.type === 'file' && origin.path === path);
      if (!first) continue;
      // An entry may come again and again; the last one counts.
      room -= entry.size;
      if (room < 0) throw tooMuch(layer);
      const written = await write(tar, unpackedPath(directory, first.name), image.signal);
      unpacked.set(first.name, { name: first.name, ...written });
      for (const { name } of others) {
        await copyFile(
          unpackedPath(directory, first.name),
          unpackedPath(directory, name),
          constants.COPYFILE_FICLONE,
        );
        unpacked.set(name, { name, ...written });
      }
    }
    await opened.finish();
  } finally {
    await bytes.close();
    await opened.close();
  }
  for (const { name, expected } of files) check(unpacked.get(name), name, expected);
  return [...unpacked.values()];
}

/** Where a file is unpacked: no name of a file can clash with a download. */
export function unpackedPath(directory: string, name: string): string {
  return join(directory, `unpacked-${name}`);
}

/** Writes the current file. Holes stay holes: they take no room, and are hashed as the zeros they stand for. */
async function write(
  tar: TarReader,
  path: string,
  signal: AbortSignal | undefined,
): Promise<Omit<UnpackedFile, 'name'>> {
  const running = new RunningChecksums();
  let size = 0;
  const file = await open(path, OVERWRITE, 0o644);
  try {
    for await (const part of tar.parts()) {
      throwIfCancelled(signal);
      if (typeof part !== 'number') {
        running.update(part);
        await writeAt(file, part, size);
        size += part.length;
        continue;
      }
      for (let missing = part; missing > 0; missing -= ZEROS.length) {
        running.update(ZEROS.subarray(0, missing));
        // A loop without I/O would keep signals waiting.
        await new Promise(setImmediate);
        throwIfCancelled(signal);
      }
      size += part;
    }
    await file.truncate(size);
    await file.sync();
  } finally {
    await file.close();
  }
  return { size, ...running.finish() };
}

async function writeAt(file: FileHandle, data: Buffer, position: number): Promise<void> {
  for (let done = 0; done < data.length; ) {
    const { bytesWritten } = await file.write(data, done, data.length - done, position + done);
    done += bytesWritten;
  }
}

function check(actual: UnpackedFile | undefined, name: string, expected: Expected): void {
  if (!actual) throw new BundleError('FILE_NOT_FOUND', `${name} is not in the layer in which it was found`);
  for (const property of ['size', ...CHECKSUM_ALGORITHMS] as const) {
    const promised = expected[property];
    if (promised === undefined || promised === actual[property]) continue;
    throw new BundleError(
      'CHECKSUM_MISMATCH',
      `${name} has the ${property} ${actual[property]}, the bundle says ${promised}`,
      { hint: 'The bundle is inconsistent; tell whoever published it.' },
    );
  }
}

function tooMuch({ digest }: Descriptor): RegistryError {
  return new RegistryError(
    'TOO_LARGE',
    `the files of layer ${digest} take more space than any legitimate ones`,
    {
      hint: 'The bundle may have been made to fill disks.',
    },
  );
}

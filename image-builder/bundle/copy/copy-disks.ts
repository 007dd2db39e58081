// Copies the disk images of a bundle: whole layers are downloaded resumably, and files appear only once they are verified.

import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { errnoOf } from '../../base/diagnostics/errno.ts';
import { holdDirectory } from '../../base/files/held-directory.ts';
import { expansionLimit } from '../../oci/codec/compression.ts';
import { RegistryError } from '../../oci/http/registry-error.ts';
import type { Image } from '../../oci/image.ts';
import type { Descriptor } from '../../oci/model.ts';
import { formatReference, parseReference } from '../../oci/reference.ts';
import { DownloadedSource } from '../../oci/sources/downloaded.ts';
import { BundleError } from '../bundle-error.ts';
import type { Checksums } from '../model.ts';
import { openImage } from '../read/open-image.ts';
import type { ReadBundleOptions } from '../read/read-options.ts';
import { demanded, type Verification } from '../read/verification.ts';
import { findCopies, type WantedFile } from './disk-files.ts';
import { earlierImage, type MadeImage, madePath, makeFromEarlier, type Update } from './earlier-images.ts';
import { type ExistingFile, existingFiles, putInPlace } from './put-in-place.ts';
import { copyLayer, unpackedPath } from './unpack-layer.ts';
import { openWorkplace } from './workplace.ts';

/** How a copy behaves. */
export interface CopyOptions extends ReadBundleOptions {
  /** Also replace files that are not copies of the bundle's. */
  force?: boolean;
  /**
   * An earlier image, or a directory with images of the same names: data they contain is not fetched from the registry.
   * Default: the files being replaced.
   */
  from?: string;
}

/** A file in its place, whether it was copied now or earlier. */
export interface CopiedFile extends Checksums {
  /** Absolute path of the copy. */
  path: string;
  /** Bytes. */
  size: number;
  /** Whether it was there already, with the right checksum. */
  existed: boolean;
  /** The earlier image it was made from, or why none was used. */
  update?: Update;
}

/** The outcome of a copy. */
export interface Copy {
  /** Reference of the bundle, with its digest. */
  reference: string;
  files: CopiedFile[];
  /** Names of files beside the images that were skipped because they are not images. */
  leftOut: string[];
}

/**
 * Copies the disk images (and the ISO) of a bundle into a directory, which is made: the files that the bundle describes, or,
 * in a bundle without a description, the files named like images.
 * @param names only these files; default: all
 * @throws RegistryError, TarError, BundleError FILE_NOT_FOUND, CHECKSUM_MISMATCH, FILE_EXISTS, WRITE_FAILED
 */
export async function copyBundle(
  text: string,
  directory: string,
  names: string[],
  options: CopyOptions,
): Promise<Copy> {
  const reference = parseReference(text);
  try {
    await mkdir(directory, { recursive: true });
    const target = await holdDirectory(directory, true);
    try {
      const { image, close } = await openImage(reference, options);
      try {
        const { force = false, from } = options;
        const place = {
          target: target.path,
          directory: resolve(directory),
          force,
          ...(from !== undefined && { from }),
        };
        const wanted = { names, verification: demanded(reference, options.verify) };
        const copied = await copyInto(image, place, wanted, options);
        return { reference: formatReference({ ...reference, digest: image.digest }), ...copied };
      } finally {
        await close();
      }
    } finally {
      await target.release();
    }
  } catch (error) {
    throw explainWriting(error, directory);
  }
}

const REASONS: Record<string, string> = {
  ENOSPC: 'no space is left on the device',
  EDQUOT: 'the quota is used up',
  EACCES: 'permission is denied',
  EROFS: 'the file system is read-only',
  ENOTDIR: 'it is not a directory',
  EEXIST: 'it is not a directory',
};

/** Turns the error of a system call on the target into ours, without the /proc names by which the target is held open. */
function explainWriting(error: unknown, directory: string): unknown {
  const code = errnoOf(error);
  const { path } = (error ?? {}) as NodeJS.ErrnoException;
  const isThere = path === undefined || path.startsWith('/proc/self/fd/') || path.startsWith(directory);
  if (code === undefined || !isThere) return error;
  return new BundleError('WRITE_FAILED', `cannot copy into ${directory}: ${REASONS[code] ?? code}`, {
    cause: error,
    hint: 'It needs room for the layer as stored and for the images in it.',
  });
}

/** Where copies go. */
interface Place {
  /** The directory, by the name under which it is held open. */
  target: string;
  /** Its absolute path, for people. */
  directory: string;
  force: boolean;
  from?: string;
}

async function copyInto(
  image: Image,
  place: Place,
  { names, verification }: { names: string[]; verification: Verification },
  options: CopyOptions,
): Promise<Omit<Copy, 'reference'>> {
  const workplace = await openWorkplace(place.target, options.signal);
  try {
    const progress = (done: number, total: number) =>
      options.report?.({ type: 'bytes', stage: 'copy', done, total });
    const isRemote = image.source.resumable;
    const local = isRemote
      ? image.readingFrom(new DownloadedSource(image.source, workplace.path, progress))
      : image;
    const { wanted, layers, leftOut } = await findCopies(local, names, verification);
    const { signal } = options;
    const existing = await existingFiles(place.target, wanted, signal);
    if (!place.force) refuseOthers(place.directory, existing);
    const copied: CopiedFile[] = existing.flatMap(({ name, sums, isCopy, size }) =>
      isCopy && sums ? [{ ...sums, size, path: join(place.directory, name), existed: true }] : [],
    );
    const done = new Set(copied.map(({ path }) => path));
    const pending = wanted.filter(({ name }) => !done.has(join(place.directory, name)));
    for (const [index, layer] of layers.entries()) {
      const here = pending.filter(({ origin }) => origin.layer === index);
      if (here.length === 0) continue;
      checkSizes(here, expansionLimit(layer.size), local);
      const made = isRemote
        ? await makeFiles(image, layer, here, { place, workplace: workplace.path }, options)
        : [];
      const unmade = here.filter(({ name }) => !made.some(({ file }) => file?.name === name));
      const unpacked = unmade.length > 0 ? await copyLayer(local, layer, unmade, workplace.path) : [];
      const ready = [
        ...made.flatMap(({ file }) => (file ? [{ file, path: madePath(workplace.path, file.name) }] : [])),
        ...unpacked.map((file) => ({ file, path: unpackedPath(workplace.path, file.name) })),
      ];
      for (const { file, path } of ready) {
        const existed = await putInPlace(path, place.target, file, place.force, signal);
        if (existed === 'other') refuseOthers(place.directory, [{ ...file, isCopy: false }]);
        const { name, size, md5, sha256, sha512 } = file;
        const update = made.find((one) => one.name === name)?.update;
        copied.push({
          ...{ path: join(place.directory, name), size, md5, sha256, sha512, existed: existed === 'same' },
          ...(update && { update }),
        });
      }
    }
    await workplace.remove();
    return { files: copied.sort((a, b) => (a.path < b.path ? -1 : 1)), leftOut };
  } finally {
    await workplace.release();
  }
}

/** Makes those files of a layer that have an earlier image. */
async function makeFiles(
  image: Image,
  layer: Descriptor,
  files: readonly WantedFile[],
  { place, workplace }: { place: Place; workplace: string },
  { report }: CopyOptions,
): Promise<(MadeImage & { name: string })[]> {
  const made: (MadeImage & { name: string })[] = [];
  for (const file of files) {
    const { from: named, target, directory } = place;
    const earlier = await earlierImage(
      { ...(named !== undefined && { named }), target, directory },
      file.name,
    );
    if (!earlier) continue;
    const progress = (done: number) => report?.({ type: 'bytes', stage: 'copy', done, total: file.size });
    made.push({
      name: file.name,
      ...(await makeFromEarlier({ image, layer, file }, earlier, workplace, progress)),
    });
  }
  return made;
}

/** A stranger's bundle must not overwrite somebody's files. */
function refuseOthers(directory: string, existing: Pick<ExistingFile, 'name' | 'isCopy'>[]): void {
  const others = existing.filter(({ isCopy }) => isCopy === false).map(({ name }) => name);
  if (others.length === 0) return;
  const they = others.length === 1 ? 'already exists and is' : 'already exist and are';
  throw new BundleError(
    'FILE_EXISTS',
    `in ${directory}, ${others.join(', ')} ${they} different from the bundle's`,
    {
      hint: 'Copy into another directory, or replace them with --force.',
    },
  );
}

/** @throws BundleError CHECKSUM_MISMATCH; RegistryError TOO_LARGE: a sparse file takes no room in a bundle */
function checkSizes(files: readonly WantedFile[], limit: number, image: Image): void {
  const wrong = files.find(({ size, expected }) => expected.size !== undefined && expected.size !== size);
  if (wrong) {
    throw new BundleError(
      'CHECKSUM_MISMATCH',
      `${wrong.name} has ${wrong.size} bytes, the bundle says ${wrong.expected.size}`,
      { hint: 'The bundle is inconsistent; tell whoever published it.' },
    );
  }
  const size = files.reduce((sum, file) => sum + file.size, 0);
  if (size <= limit) return;
  throw new RegistryError(
    'TOO_LARGE',
    `${files.map(({ name }) => name).join(', ')} of ${image.source.name} would take ${size} bytes, more than the ${limit} allowed for such a layer`,
    { hint: 'The bundle may have been made to fill disks.' },
  );
}

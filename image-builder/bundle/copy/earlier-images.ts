// Makes a disk image from an earlier one at hand: only differing data is fetched, by ranges of the layer that holds the
// image. When that is not possible, the image is copied whole, and the reason is reported.
import { constants } from 'node:fs';
import { type FileHandle, open, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { throwIfCancelled } from '../../base/diagnostics/cancelled.ts';
import { errnoOf } from '../../base/diagnostics/errno.ts';
import { ImageBuilderError } from '../../base/diagnostics/error.ts';
import type { Image } from '../../oci/image.ts';
import { OCI_LAYER } from '../../oci/media-types.ts';
import type { Descriptor } from '../../oci/model.ts';
import { RangedByteReader, StreamByteReader } from '../../oci/tar/byte-reader.ts';
import { TarReader } from '../../oci/tar/reader.ts';
import { type BlockIndex, INDEX_LIMIT_BYTES, parseIndex } from '../../qcow2/block-index.ts';
import { EarlierImage } from '../../qcow2/earlier-image.ts';
import { rebuild } from '../../qcow2/rebuild-disk.ts';
import { BundleError } from '../bundle-error.ts';
import { checksumFile } from '../checksums.ts';
import { INDEX_DIRECTORY, INDEX_LAYER_ANNOTATION } from '../model.ts';
import { cleanPath } from '../read/overlay/path.ts';
import { CHECKSUM_ALGORITHMS } from '../running-checksums.ts';
import type { WantedFile } from './disk-files.ts';
import type { UnpackedFile } from './unpack-layer.ts';

/** What was saved, or why nothing was. */
export interface Update {
  /** The earlier image. */
  from: string;
  /** Bytes that came from the registry, the index among them; absent when the image was copied whole. */
  fetched?: number;
  /** Why the image was copied whole. */
  reason?: string;
}

/** Where to look for earlier images. */
export interface Earlier {
  /** What the caller has named: a file, or a directory with files of the same names. */
  named?: string;
  /** The directory that is copied into. */
  target: string;
  /** The same for people. */
  directory: string;
}

/** An earlier image to begin with. */
interface Candidate {
  path: string;
  /** For people. */
  name: string;
}

/**
 * The earlier image of a file: what the caller has named, otherwise the file of that name in the target directory.
 * @throws BundleError FILE_NOT_FOUND when nothing has that name
 */
export async function earlierImage(
  { named, target, directory }: Earlier,
  file: string,
): Promise<Candidate | undefined> {
  if (named === undefined) {
    const there = await stat(join(target, file)).catch(() => undefined);
    return there?.isFile() ? { path: join(target, file), name: join(directory, file) } : undefined;
  }
  const there = await stat(named).catch((cause: unknown) => {
    throw new BundleError('FILE_NOT_FOUND', `there is no earlier image ${named}`, {
      cause,
      hint: 'Name a qcow2 file, or a directory with files of the same names as those of the bundle.',
    });
  });
  if (!there.isDirectory()) return { path: named, name: named };
  const path = join(named, file);
  return (await stat(path).catch(() => undefined))?.isFile() ? { path, name: path } : undefined;
}

/** A file that was made and what that took, or only the reason why it has to be copied whole. */
export interface MadeImage {
  update: Update;
  file?: UnpackedFile;
}

/**
 * Makes one file of an image in a registry, see {@link madePath}.
 * @param layer the layer that holds the file
 * @param onBytes receives the number of bytes in place so far
 * @throws CancelledError; what cannot be fetched or written ends in a reason
 */
export async function makeFromEarlier(
  { image, layer, file }: { image: Image; layer: Descriptor; file: WantedFile },
  earlier: Candidate,
  directory: string,
  onBytes: (done: number) => void,
): Promise<MadeImage> {
  const target = madePath(directory, file.name);
  try {
    return {
      update: { from: earlier.name, fetched: await make() },
      file: await checked(target, file, image.signal),
    };
  } catch (error) {
    throwIfCancelled(image.signal);
    // What is right in it is no use to a copy of the whole; room may be.
    if (!isTransient(error)) await rm(target, { force: true });
    return { update: { from: earlier.name, reason: reasonOf(error) } };
  }

  async function make(): Promise<number> {
    const { source, signal } = image;
    const marked = image.manifest.layers.filter(
      ({ annotations }) => annotations?.[INDEX_LAYER_ANNOTATION] === file.name,
    );
    const [indexLayer] = marked;
    if (!indexLayer || marked.length > 1) throw new NoUpdate('the bundle has no index of it');
    // The layer's digest does not cover the result, since the layer is not read as a whole.
    if (file.expected.sha256 === undefined) throw new NoUpdate('the bundle does not tell its sha256');
    if (!source.range || layer.mediaType !== OCI_LAYER) throw new NoUpdate('its layer is compressed');
    const { range } = source;
    const start = await positionOf(image, layer, file.origin.path);
    const index = await readIndex(image, indexLayer, file);
    let handle: FileHandle | undefined;
    try {
      handle = await open(earlier.path, constants.O_RDONLY | constants.O_NONBLOCK);
      const fetched = await rebuild({
        ...{ index, earlier: await EarlierImage.open(handle), target, onBytes },
        fetch: async (offset, length) => {
          const data = await range(layer, { start: start + offset, length });
          if (source.ignoresRanges) throw new NoUpdate(IGNORED);
          return data;
        },
        ...(signal && { signal }),
      });
      return fetched + indexLayer.size;
    } finally {
      await handle?.close();
    }
  }
}

/** Where a file is made: no name of a file can clash with anything else there. */
export function madePath(directory: string, name: string): string {
  return join(directory, `made-${name}`);
}

/** Not a failure: the image can still be copied whole. */
class NoUpdate extends Error {}

const IGNORED = 'the registry has no ranges';

/** Where a file begins in a layer that is not compressed. */
async function positionOf({ source }: Image, layer: Descriptor, path: string): Promise<number> {
  const { range } = source;
  if (!range) throw new NoUpdate(IGNORED);
  const fetch = async (start: number, length: number) => {
    const data = await range(layer, { start, length });
    if (source.ignoresRanges) throw new NoUpdate(IGNORED);
    return data;
  };
  const tar = new TarReader(new RangedByteReader(fetch, layer.size, 4096), `layer ${layer.digest}`);
  for (let entry = await tar.next(); entry; entry = await tar.next()) {
    if (entry.type === 'file' && cleanPath(entry.path) === path && tar.contiguous) return tar.position;
  }
  throw new NoUpdate('its layer holds it in pieces');
}

async function readIndex(image: Image, layer: Descriptor, file: WantedFile): Promise<BlockIndex> {
  const what = `the index of ${file.name}`;
  if (layer.size > INDEX_LIMIT_BYTES) throw new NoUpdate(`${what} has ${layer.size} bytes`);
  const blob: Uint8Array[] = [];
  for await (const chunk of image.checked(layer, what, layer.size)) blob.push(Buffer.from(chunk));
  const tar = new TarReader(new StreamByteReader(Readable.from(blob)), what);
  const path = cleanPath(`${INDEX_DIRECTORY}/${file.name}.index`);
  let index: BlockIndex | undefined;
  for (let entry = await tar.next(); entry; entry = await tar.next()) {
    if (entry.type !== 'file' || cleanPath(entry.path) !== path) continue;
    const parts: Buffer[] = [];
    for await (const part of tar.parts()) {
      if (typeof part === 'number') throw new NoUpdate(`${what} has holes`);
      parts.push(Buffer.from(part));
    }
    index = parseIndex(Buffer.concat(parts));
  }
  if (!index) throw new NoUpdate(`${what} is missing in its layer`);
  if (index.fileBytes !== file.size) throw new NoUpdate(`${what} is that of another file`);
  return index;
}

/** @throws NoUpdate when the file is not what the bundle promises */
async function checked(
  path: string,
  { name, expected }: WantedFile,
  signal: AbortSignal | undefined,
): Promise<UnpackedFile> {
  const sums = await checksumFile(path, signal && { signal });
  const wrong = CHECKSUM_ALGORITHMS.find((one) => expected[one] !== undefined && expected[one] !== sums[one]);
  if (wrong) throw new NoUpdate(`what was made by its index has another ${wrong}`);
  return { name, ...sums };
}

/** Whether the next run can resume from what there is. */
function isTransient(error: unknown): boolean {
  return error instanceof ImageBuilderError && error.code === 'NETWORK';
}

function reasonOf(error: unknown): string {
  const code = errnoOf(error);
  if (code !== undefined) return `the system answered ${code}`;
  return (error as Error).message;
}

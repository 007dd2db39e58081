// Layers of a bundle: tars whose bytes depend on nothing but the names and contents of their files and one time stamp.
import { createHash, type Hash } from 'node:crypto';
import { open, stat } from 'node:fs/promises';
import { type Pack, pack } from 'tar-stream';
import type { Checksums } from './types.ts';
import { BundleWriteError } from './write-errors.ts';
import { type Descriptor, OCI_LAYER } from './write-oci.ts';
import { BLOCK, pour } from './write-tar.ts';

/**
 * A file of a layer: its absolute path in the image, and its text or the file that holds its content. Checksums that
 * are known need not be computed.
 */
export type LayerFile = { path: string } & (
  | { content: string }
  | { source: string; checksums?: FileChecksums }
);

/** A layer that lies in a file. The tar is not compressed, so the digest is its diff ID too. */
export interface Layer {
  descriptor: Descriptor;
  /** The file that holds the tar. */
  file: string;
}

/** How a layer is written. */
export interface LayerOptions {
  /** Modification time of everything in it, in seconds since the epoch. */
  mtime: number;
  signal?: AbortSignal;
  /** Called with the number of content bytes that were just written. */
  onBytes?: (count: number) => void;
}

/**
 * Writes a layer to `target`: the files sorted by path, each after its directories; owned by root, world-readable.
 * Memory does not depend on the size of the files, and each is read once.
 * @returns the layer, and the checksums of every file that came from a `source`
 */
export async function writeLayer(
  files: readonly LayerFile[],
  target: string,
  options: LayerOptions,
): Promise<{ layer: Layer; checksums: Map<string, FileChecksums> }> {
  const archive = pack({ highWaterMark: BLOCK });
  const checksums = new Map<string, FileChecksums>();
  const hash = createHash('sha256');
  const filling = fill(archive, files, checksums, options).catch((error) => archive.destroy(error));
  let size: number;
  try {
    size = await drain(archive, target, hash, options.signal);
  } finally {
    await filling;
  }
  const digest = `sha256:${hash.digest('hex')}`;
  return { layer: { descriptor: { mediaType: OCI_LAYER, digest, size }, file: target }, checksums };
}

/** Checksums of a file and its size in bytes. */
export type FileChecksums = Checksums & { size: number };

async function fill(
  archive: Pack,
  files: readonly LayerFile[],
  checksums: Map<string, FileChecksums>,
  options: LayerOptions,
): Promise<void> {
  const owner = { uid: 0, gid: 0, uname: '', gname: '', mtime: new Date(options.mtime * 1000) };
  const directories = new Set<string>();
  for (const file of [...files].sort((a, b) => (a.path < b.path ? -1 : 1))) {
    for (const directory of parentsOf(file.path)) {
      if (directories.has(directory)) continue;
      directories.add(directory);
      archive.entry({ ...owner, name: `${directory}/`, type: 'directory', mode: 0o755 });
    }
    const name = file.path.slice(1);
    const header = { ...owner, name, type: 'file', mode: 0o644 } as const;
    if ('content' in file) {
      archive.entry(header, file.content);
    } else {
      const { size } = await stat(file.source);
      const entry = archive.entry({ ...header, size });
      checksums.set(file.path, await pourHashed({ ...file, size }, entry, options));
    }
  }
  archive.finalize();
}

/** Directories above an absolute path, outermost first, without the leading slash. */
function parentsOf(path: string): string[] {
  const names = path.split('/').slice(1, -1);
  return names.map((_, index) => names.slice(0, index + 1).join('/'));
}

/** Copies a file into its place in the tar and computes every checksum on the way. */
async function pourHashed(
  file: { source: string; size: number; checksums?: FileChecksums },
  entry: ReturnType<Pack['entry']>,
  options: LayerOptions,
): Promise<FileChecksums> {
  const hashes = file.checksums
    ? []
    : (['md5', 'sha256', 'sha512'] as const).map((name) => [name, createHash(name)] as const);
  const count = await pour(file.source, entry, {
    signal: options.signal,
    onChunk: (chunk) => {
      for (const [, hash] of hashes) hash.update(chunk);
      options.onBytes?.(chunk.length);
    },
  });
  if (count !== file.size || count !== (file.checksums?.size ?? count)) {
    throw new BundleWriteError('BUNDLE_SOURCE_INVALID', `${file.source} changed while it was read`);
  }
  if (file.checksums) {
    const { size, md5, sha256, sha512 } = file.checksums;
    return { size, md5, sha256, sha512 };
  }
  const digests = Object.fromEntries(hashes.map(([name, hash]) => [name, hash.digest('hex')]));
  return { size: count, ...(digests as unknown as Checksums) };
}

/** Writes the tar to a new file, hashing it; returns its size. */
async function drain(archive: Pack, target: string, hash: Hash, signal?: AbortSignal): Promise<number> {
  const file = await open(target, 'wx');
  let size = 0;
  try {
    for await (const chunk of archive as AsyncIterable<Buffer>) {
      signal?.throwIfAborted();
      hash.update(chunk);
      await file.writev([chunk]);
      size += chunk.length;
    }
  } finally {
    await file.close();
  }
  return size;
}

// Layers of a bundle: tars whose bytes depend on nothing but the names and contents of their files and one time stamp.

import { createHash, type Hash } from 'node:crypto';
import { open, stat } from 'node:fs/promises';
import { type Pack, pack } from 'tar-stream';
import { throwIfCancelled } from '../../base/diagnostics/cancelled.ts';
import type { Digest } from '../../oci/digest.ts';
import { OCI_LAYER } from '../../oci/media-types.ts';
import type { Descriptor } from '../../oci/model.ts';
import { BLOCK, pour } from '../../oci/tar/pour.ts';
import { BundleWriteError } from './write-error.ts';

/** A file of a layer: its absolute path in the image, and its text or the file that holds its content. */
export type LayerFile = { path: string } & ({ content: string } | { source: string });

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
}

/**
 * Writes a layer to `target`: the files sorted by path, each after its directories; owned by root, world-readable.
 * Memory does not depend on the size of the files, and each is read once.
 */
export async function writeLayer(
  files: readonly LayerFile[],
  target: string,
  options: LayerOptions,
): Promise<Layer> {
  const archive = pack({ highWaterMark: BLOCK });
  const hash = createHash('sha256');
  const filling = fill(archive, files, options).catch((error) => archive.destroy(error));
  let size: number;
  try {
    size = await drain(archive, target, hash, options.signal);
  } finally {
    await filling;
  }
  const digest: Digest = `sha256:${hash.digest('hex')}`;
  return { descriptor: { mediaType: OCI_LAYER, digest, size }, file: target };
}

async function fill(archive: Pack, files: readonly LayerFile[], options: LayerOptions): Promise<void> {
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
      if ((await pour(file.source, entry, options.signal)) !== size)
        throw new BundleWriteError('BUNDLE_SOURCE_INVALID', `${file.source} changed while it was read`);
    }
  }
  archive.finalize();
}

/** Directories above an absolute path, outermost first, without the leading slash. */
function parentsOf(path: string): string[] {
  const names = path.split('/').slice(1, -1);
  return names.map((_, index) => names.slice(0, index + 1).join('/'));
}

/** Writes the tar to a new file, hashing it; returns its size. */
async function drain(archive: Pack, target: string, hash: Hash, signal?: AbortSignal): Promise<number> {
  const file = await open(target, 'wx');
  let size = 0;
  try {
    for await (const chunk of archive as AsyncIterable<Buffer>) {
      throwIfCancelled(signal);
      hash.update(chunk);
      await file.writev([chunk]);
      size += chunk.length;
    }
  } finally {
    await file.close();
  }
  return size;
}

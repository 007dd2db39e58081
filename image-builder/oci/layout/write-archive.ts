// OCI archives: a tar of an OCI layout with one image, written in one stream.
import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Pack } from 'tar-stream';
import { throwIfCancelled } from '../../base/diagnostics/cancelled.ts';
import { writeBeside } from '../../base/files/replace.ts';
import { OCI_INDEX } from '../media-types.ts';
import type { Index } from '../model.ts';
import { BLOCK, pour } from '../tar/pour.ts';
import {
  blobName,
  blobPath,
  blobsDirectory,
  INDEX_FILE,
  LAYOUT_CONTENT,
  LAYOUT_FILE,
  tagged,
} from './format.ts';
import { LayoutError } from './layout-error.ts';
import { type LayoutImage, partsOf } from './write-directory.ts';

/**
 * Writes the image as an archive, with what refers to it; it appears at `path` by rename. Index and small blobs come first, so that a reader
 * of a stream has the metadata early.
 * @throws LayoutError
 */
export async function writeArchive(
  image: LayoutImage,
  path: string,
  tag: string,
  signal?: AbortSignal,
): Promise<void> {
  const { pack } = await import('tar-stream');
  const archive = pack({ highWaterMark: BLOCK });
  try {
    await mkdir(dirname(path), { recursive: true });
    const filling = fill(archive, image, tag).catch((error) => archive.destroy(error));
    await writeBeside(path, async (file) => {
      for await (const chunk of archive as AsyncIterable<Buffer>) {
        throwIfCancelled(signal);
        await file.writeFile(chunk);
      }
      await filling;
    });
  } catch (error) {
    throwIfCancelled(signal);
    throw new LayoutError('LAYOUT_WRITE_FAILED', `cannot write the OCI archive ${path}`, {
      cause: error,
      hint: (error as Error).message,
    });
  }
}

async function fill(archive: Pack, image: LayoutImage, tag: string): Promise<void> {
  const header = { uid: 0, gid: 0, mode: 0o644, mtime: new Date(0) };
  const { referrers, blobs } = await partsOf(image);
  const index: Index = {
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: [tagged(image.manifest, tag), ...referrers],
  };
  archive.entry({ ...header, name: LAYOUT_FILE }, LAYOUT_CONTENT);
  archive.entry({ ...header, name: INDEX_FILE }, JSON.stringify(index));
  for (const name of ['blobs/', 'blobs/sha256/']) {
    archive.entry({ ...header, name, type: 'directory', mode: 0o755 });
  }
  const written = new Set<string>();
  for (const { digest } of blobs.sort((a, b) => a.size - b.size)) {
    if (written.has(digest)) continue;
    written.add(digest);
    const file = blobPath(blobsDirectory(image.directory), digest);
    const { size } = await stat(file);
    const entry = archive.entry({ ...header, name: blobName(digest), size });
    await pour(file, entry);
  }
  archive.finalize();
}

// Takes a bundle that comes as a tar of its OCI layout (image-layout.md), as a container engine on another machine
// sends it, into a layout directory of this machine.

import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar-stream';
import { throwIfCancelled } from '../../base/diagnostics/cancelled.ts';
import { blobsDirectory, INDEX_FILE, LAYOUT_FILE } from '../../oci/layout/format.ts';
import { LayoutError } from '../../oci/layout/layout-error.ts';
import { addToLayout, findTagged, layoutHas } from '../../oci/layout/write-directory.ts';
import { BundleWriteError } from './write-error.ts';

/** Whether the layout has a bundle, known by its digest alone, complete under the tag. */
export async function layoutHasDigest(directory: string, tag: string, digest: string): Promise<boolean> {
  const manifest = await findTagged(directory, tag).catch(() => undefined);
  return manifest?.digest === digest && (await layoutHas(directory, tag, { directory, manifest }));
}

/**
 * Adds the bundle in `archive` to the layout in `directory`. Every blob is checked against its digest before the
 * layout names it.
 * @param wanted the digest that the manifest must have
 * @throws BundleWriteError when the archive is something else, LayoutError when the directory cannot be written
 */
export async function receiveLayout(
  archive: Readable,
  directory: string,
  { tag, digest: wanted }: { tag: string; digest: string },
  signal: AbortSignal,
): Promise<void> {
  // Below blobs/: on the same file system as the layout, and hidden from whoever looks for one.
  const blobs = join(directory, 'blobs');
  await makeDirectory(blobs);
  const staging = await mkdtemp(join(blobs, '.incoming-'));
  try {
    await unpack(archive, staging, signal);
    const manifest = await findTagged(staging, tag).catch((error: Error) => {
      throw damaged(error.message, error);
    });
    if (manifest?.digest !== wanted) throw damaged(`it has no ${wanted} under tag ${tag}`);
    if (!(await layoutHas(staging, tag, { directory: staging, manifest })))
      throw damaged('blobs are missing');
    await addToLayout({ directory: staging, manifest }, directory, tag, signal);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (cause) {
    throw new LayoutError('LAYOUT_WRITE_FAILED', `cannot write the OCI layout ${path}`, {
      cause,
      hint: (cause as Error).message,
    });
  }
}

const BLOB = /^blobs\/sha256\/([0-9a-f]{64})$/;

async function unpack(archive: Readable, staging: string, signal: AbortSignal): Promise<void> {
  await mkdir(blobsDirectory(staging), { recursive: true });
  const entries = extract();
  const reading = pipeline(archive, entries, { signal });
  // Its error comes out of the loop too, unless the loop ends first.
  reading.catch(() => {});
  try {
    for await (const entry of entries) {
      const name = entry.header.name.replace(/^\.\//, '');
      const hex = BLOB.exec(name)?.[1];
      if (entry.header.type !== 'file' || (hex === undefined && ![INDEX_FILE, LAYOUT_FILE].includes(name))) {
        entry.resume();
        continue;
      }
      const hash = createHash('sha256');
      entry.on('data', (chunk) => hash.update(chunk as Buffer));
      const path = join(staging, name);
      await pipeline(entry, createWriteStream(path, { flags: 'wx' }), { signal });
      if (hex !== undefined && hash.digest('hex') !== hex)
        throw damaged(`blob sha256:${hex} has other content`);
    }
    await reading;
  } catch (error) {
    throwIfCancelled(signal);
    if (error instanceof BundleWriteError) throw error;
    throw damaged((error as Error).message, error);
  }
}

function damaged(reason: string, cause?: unknown): BundleWriteError {
  return new BundleWriteError('BUNDLE_WRITE_FAILED', `the bundle arrived incomplete: ${reason}`, { cause });
}

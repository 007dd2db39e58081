// Adds what refers to an image to the layout or the archive that has the image: entries of index.json without a tag, as oras
// writes them. The image itself stays as it is.
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Extract, Pack } from 'tar-stream';
import { throwIfCancelled } from '../../base/diagnostics/cancelled.ts';
import { drained } from '../../base/drained.ts';
import { replaceFile, writeBeside } from '../../base/files/replace.ts';
import { lockDirectory } from '../../base/locking/file-lock.ts';
import type { Digest } from '../digest.ts';
import type { Descriptor, Index } from '../model.ts';
import type { NewReferrer } from '../referrers/attached.ts';
import { EMPTY_CONFIG, EMPTY_CONFIG_CONTENT } from '../referrers/referrer.ts';
import { BLOCK } from '../tar/pour.ts';
import { blobName, blobPath, blobsDirectory, INDEX_FILE } from './format.ts';
import { LayoutError } from './layout-error.ts';

/**
 * Blobs come first, then the index by rename: at every moment the layout is complete.
 * @throws LayoutError when it cannot be written
 */
export async function addToLayoutDirectory(
  directory: string,
  referrers: readonly NewReferrer[],
  signal?: AbortSignal,
): Promise<void> {
  await writing(directory, signal, async () => {
    const lock = await lockDirectory(directory, signal);
    try {
      const file = join(directory, INDEX_FILE);
      const index = withReferrers(await readFile(file, 'utf8'), referrers, directory);
      for (const [digest, content] of blobsIn(referrers))
        await replaceFile(blobPath(blobsDirectory(directory), digest), content);
      await replaceFile(file, index, { durable: true });
    } finally {
      await lock.release();
    }
  });
}

/**
 * Writes the archive again, since its index is somewhere in it; it appears by rename.
 * @throws LayoutError when it cannot be written, or is compressed
 */
export async function addToArchive(
  path: string,
  referrers: readonly NewReferrer[],
  signal?: AbortSignal,
): Promise<void> {
  const { extract, pack } = await import('tar-stream');
  await writing(path, signal, async () => {
    const reading = extract();
    const archive = pack({ highWaterMark: BLOCK });
    const { mode } = await stat(path);
    const copying = copyEntries(reading, archive, referrers, path).catch((error) => {
      archive.destroy(error);
      reading.destroy();
    });
    const fed = pipeline(createReadStream(path, { highWaterMark: BLOCK }), reading).catch((error) =>
      archive.destroy(error),
    );
    await writeBeside(
      path,
      async (file) => {
        for await (const chunk of archive as AsyncIterable<Buffer>) {
          throwIfCancelled(signal);
          await file.writeFile(chunk);
        }
        await Promise.all([copying, fed]);
      },
      { mode },
    );
  });
}

/** A larger index is none. Bytes. */
const INDEX_LIMIT = 4 * 1024 * 1024;

async function copyEntries(
  reading: Extract,
  archive: Pack,
  referrers: readonly NewReferrer[],
  path: string,
): Promise<void> {
  const blobs = blobsIn(referrers);
  let hasIndex = false;
  for await (const entry of reading) {
    const { header } = entry;
    const name = header.name.replace(/^\.\//, '');
    if (name === INDEX_FILE) {
      hasIndex = true;
      const index = withReferrers(await textOf(entry as AsyncIterable<Buffer>, path), referrers, path);
      archive.entry({ ...header, size: Buffer.byteLength(index) }, index);
      continue;
    }
    for (const digest of blobs.keys()) if (blobName(digest) === name) blobs.delete(digest);
    const copy = archive.entry(header);
    for await (const chunk of entry) if (!copy.write(chunk)) await drained(copy);
    copy.end(null);
  }
  if (!hasIndex) throw unusable(path, 'it has no index.json');
  for (const [digest, content] of blobs)
    archive.entry({ name: blobName(digest), uid: 0, gid: 0, mode: 0o644, mtime: new Date(0) }, content);
  archive.finalize();
}

async function textOf(entry: AsyncIterable<Buffer>, path: string): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of entry) {
    size += part.length;
    if (size > INDEX_LIMIT) throw unusable(path, 'its index.json is too large');
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function withReferrers(text: string, referrers: readonly NewReferrer[], path: string): string {
  let index: Index;
  try {
    index = JSON.parse(text);
  } catch (cause) {
    throw unusable(path, 'its index.json is no JSON', cause);
  }
  if (!Array.isArray(index?.manifests)) throw unusable(path, 'its index.json is no index');
  const known = new Set(index.manifests.map(({ digest }) => digest));
  const added: Descriptor[] = referrers
    .map(({ manifest }) => manifest.descriptor)
    .filter(({ digest }) => !known.has(digest));
  return JSON.stringify({ ...index, manifests: [...index.manifests, ...added] });
}

function blobsIn(referrers: readonly NewReferrer[]): Map<Digest, Buffer> {
  return new Map([
    [EMPTY_CONFIG.digest, EMPTY_CONFIG_CONTENT],
    ...referrers.flatMap(({ manifest, digest, content }): [Digest, Buffer][] => [
      [digest, content],
      [manifest.descriptor.digest, manifest.content],
    ]),
  ]);
}

const unusable = (path: string, reason: string, cause?: unknown) =>
  new LayoutError('LAYOUT_INVALID', `${path} is not an OCI layout: ${reason}`, { cause });

async function writing(
  path: string,
  signal: AbortSignal | undefined,
  step: () => Promise<void>,
): Promise<void> {
  try {
    await step();
  } catch (error) {
    throwIfCancelled(signal);
    if (error instanceof LayoutError) throw error;
    throw new LayoutError('LAYOUT_WRITE_FAILED', `cannot add to ${path}`, {
      cause: error,
      hint: (error as Error).message,
    });
  }
}

// Writes blobs of an OCI layout: files named by their digest, shared between directories where possible.
import { constants, copyFile, link, rm, stat, writeFile } from 'node:fs/promises';
import { makeBeside } from '../../base/files/replace.ts';
import { digestOf } from '../digest.ts';
import type { Descriptor } from '../model.ts';
import { blobPath } from './format.ts';

/** Adds a blob of JSON. */
export async function addJson(value: unknown, mediaType: string, blobs: string): Promise<Descriptor> {
  const bytes = Buffer.from(JSON.stringify(value));
  const digest = digestOf(bytes);
  await writeFile(blobPath(blobs, digest), bytes);
  return { mediaType, digest, size: bytes.length };
}

/**
 * Adds a file whose digest is known. It appears whole: linked, or copied (as a clone where the file system can) under
 * another name and renamed.
 */
export async function addFile(source: string, blobs: string, digest: string): Promise<void> {
  const target = blobPath(blobs, digest);
  const { size } = await stat(source);
  const present = await stat(target).catch(() => undefined);
  if (present?.isFile() && present.size === size) return;
  await rm(target, { force: true });
  try {
    await link(source, target);
  } catch {
    // Another file system, one without hard links, or a file of another user (fs.protected_hardlinks).
    await makeBeside(target, (temporary) =>
      copyFile(source, temporary, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL),
    );
  }
}

// Blobs of an OCI layout (image-layout.md): files named by their digest, shared between directories where possible.
import { createHash } from 'node:crypto';
import { constants, copyFile, link, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeBeside } from '../../base/files/replace.ts';
import type { Descriptor } from './manifest.ts';

const SHA256 = /^sha256:[0-9a-f]{64}$/;

/** The file of a blob in a `blobs/sha256` directory. */
export function blobPath(blobs: string, digest: string): string {
  if (!SHA256.test(digest)) throw new TypeError(`not a SHA-256 digest: ${digest}`);
  return join(blobs, digest.slice('sha256:'.length));
}

/** Adds a blob of JSON. */
export async function addJson(value: unknown, mediaType: string, blobs: string): Promise<Descriptor> {
  const bytes = Buffer.from(JSON.stringify(value));
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
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

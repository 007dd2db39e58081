// Writes OCI layout directories with several tags (image-layout.md): adding an image leaves the others alone.
import { readFileSync, statSync } from 'node:fs';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { throwIfCancelled } from '../../base/diagnostics/cancelled.ts';
import { errnoOf } from '../../base/diagnostics/errno.ts';
import { isTemporary, replaceFile, sweepLeftovers } from '../../base/files/replace.ts';
import { lockDirectory } from '../../base/locking/file-lock.ts';
import { OCI_INDEX, OCI_MANIFEST } from '../media-types.ts';
import type { Descriptor, Index, Manifest } from '../model.ts';
import { addFile } from './blobs.ts';
import {
  blobPath,
  blobsDirectory,
  INDEX_FILE,
  LAYOUT_CONTENT,
  LAYOUT_FILE,
  tagged,
  tagOf,
} from './format.ts';
import { LayoutError } from './layout-error.ts';

// What a render asks for is asked for synchronously: fifty small files would cost ten times as much by Node's threads.

/** An image in a layout directory of its own. */
export interface LayoutImage {
  directory: string;
  manifest: Descriptor;
}

/**
 * Adds an image to the layout in `directory`, which is made when absent, with what refers to it where it comes from. Blobs
 * come first, then the index by rename, and only then what no tag needs any more goes: at every moment the layout is
 * complete.
 * @throws LayoutError when the directory is something else, or cannot be written
 */
export async function addToLayout(
  image: LayoutImage,
  directory: string,
  tag: string,
  signal?: AbortSignal,
): Promise<void> {
  try {
    await mkdir(directory, { recursive: true });
    const lock = await lockDirectory(directory, signal);
    try {
      const index = await readIndex(directory);
      const blobs = blobsDirectory(directory);
      await mkdir(blobs, { recursive: true });
      for (const place of [directory, blobs]) await sweepLeftovers(place, 0);
      const { referrers, blobs: wanted } = await partsOf(image);
      for (const descriptor of wanted) {
        throwIfCancelled(signal);
        await addFile(blobPath(blobsDirectory(image.directory), descriptor.digest), blobs, descriptor.digest);
      }
      const replaced = index.manifests.filter((manifest) => tagOf(manifest) === tag);
      const others = index.manifests.filter((manifest) => tagOf(manifest) !== tag);
      const orphans = await orphansOf(directory, replaced, [...others, image.manifest]);
      const known = new Set([...orphans, ...referrers].map(({ digest }) => digest));
      const kept = others.filter(({ digest }) => !known.has(digest));
      const added = [tagged(image.manifest, tag), ...referrers];
      await replaceFile(join(directory, LAYOUT_FILE), LAYOUT_CONTENT, { durable: true });
      await replaceFile(
        join(directory, INDEX_FILE),
        JSON.stringify({ ...index, manifests: [...kept, ...added] }),
        { durable: true },
      );
      await removeUnreferenced(directory, [...replaced, ...orphans], [...kept, ...added]);
    } finally {
      await lock.release();
    }
  } catch (error) {
    throwIfCancelled(signal);
    if (errnoOf(error) === undefined || error instanceof LayoutError) throw error;
    throw new LayoutError('LAYOUT_WRITE_FAILED', `cannot write the OCI layout ${directory}`, {
      cause: error,
      hint: (error as Error).message,
    });
  }
}

/** Whether the layout has the image under the tag, with what refers to it, every blob in its full size. */
export async function layoutHas(directory: string, tag: string, image: LayoutImage): Promise<boolean> {
  try {
    const { manifests } = await readIndex(directory);
    const tagged = manifests.find((manifest) => tagOf(manifest) === tag);
    if (tagged?.digest !== image.manifest.digest) return false;
    const blobs = blobsDirectory(directory);
    const { referrers, blobs: wanted } = await partsOf(image);
    if (!referrers.every(({ digest }) => manifests.some((listed) => listed.digest === digest))) return false;
    return wanted.every(({ digest, size }) => statSync(blobPath(blobs, digest)).size === size);
  } catch {
    return false;
  }
}

/** The image that a layout has under a tag. @throws LayoutError when the directory is something else */
export async function findTagged(directory: string, tag: string): Promise<Descriptor | undefined> {
  return (await readIndex(directory)).manifests.find((manifest) => tagOf(manifest) === tag);
}

/** What refers to an image where it lies, and the blobs of all of them: manifests, configurations, layers. */
export async function partsOf({
  directory,
  manifest,
}: LayoutImage): Promise<{ referrers: Descriptor[]; blobs: Descriptor[] }> {
  const [image, found] = await Promise.all([
    readManifest(directory, manifest),
    findReferrers(directory, manifest.digest),
  ]);
  const referrers = found.map(({ descriptor }) => descriptor);
  const all = [{ descriptor: manifest, content: image }, ...found];
  const blobs = all.flatMap(({ descriptor, content }) => [descriptor, content.config, ...content.layers]);
  return { referrers, blobs };
}

/** A manifest of a layout with what it says. */
interface StoredManifest {
  descriptor: Descriptor;
  content: Manifest;
}

/** What refers to a manifest of a layout: it stands in index.json without a tag, as oras writes it. */
async function findReferrers(directory: string, digest: string): Promise<StoredManifest[]> {
  const { manifests } = await readIndex(directory);
  const untagged = manifests.filter((one) => tagOf(one) === undefined && one.artifactType !== undefined);
  const read = async (descriptor: Descriptor) => ({
    descriptor,
    content: await readManifest(directory, descriptor),
  });
  return (await Promise.all(untagged.map(read))).filter(({ content }) => content.subject?.digest === digest);
}

async function readManifest(directory: string, { digest }: Descriptor): Promise<Manifest> {
  return JSON.parse(readFileSync(blobPath(blobsDirectory(directory), digest), 'utf8'));
}

/** What refers to images that the layout has no longer. */
async function orphansOf(
  directory: string,
  replaced: readonly Descriptor[],
  kept: readonly Descriptor[],
): Promise<Descriptor[]> {
  const gone = replaced.filter(({ digest }) => !kept.some((one) => one.digest === digest));
  const found = await Promise.all(gone.map(({ digest }) => findReferrers(directory, digest)));
  return found.flat().map(({ descriptor }) => descriptor);
}

async function readIndex(directory: string): Promise<Index> {
  let text: string;
  try {
    text = readFileSync(join(directory, INDEX_FILE), 'utf8');
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    const names = (await readdir(directory)).filter(
      (name) => name !== 'blobs' && name !== LAYOUT_FILE && !isTemporary(name),
    );
    if (names.length === 0) return { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] };
    throw notALayout(directory, `it has no index.json, but ${names[0]}`);
  }
  try {
    const index: Index = JSON.parse(text);
    if (index.schemaVersion === 2 && Array.isArray(index.manifests)) return index;
  } catch (error) {
    throw notALayout(directory, 'its index.json is not JSON', error);
  }
  throw notALayout(directory, 'its index.json is not an OCI index');
}

function notALayout(directory: string, reason: string, cause?: unknown): LayoutError {
  return new LayoutError('LAYOUT_INVALID', `${directory} is not an OCI layout: ${reason}`, {
    cause,
    hint: 'name an empty or new directory, or one that contains an OCI layout',
  });
}

/** Removes blobs of the replaced images that no other image of the layout has; unknown files stay. */
async function removeUnreferenced(
  directory: string,
  replaced: readonly Descriptor[],
  kept: readonly Descriptor[],
): Promise<void> {
  const doomed = new Set<string>();
  for (const descriptor of replaced) await collect(directory, descriptor, doomed).catch(() => {});
  if (doomed.size === 0) return;
  const needed = new Set<string>();
  try {
    for (const descriptor of kept) await collect(directory, descriptor, needed);
  } catch {
    // What an unreadable image needs is unknown: nothing is removed.
    return;
  }
  for (const digest of doomed) {
    if (!needed.has(digest)) await rm(blobPath(blobsDirectory(directory), digest), { force: true });
  }
}

/** Adds the digests of everything below a descriptor: of nested indexes too. */
async function collect(directory: string, descriptor: Descriptor, digests: Set<string>): Promise<void> {
  if (digests.has(descriptor.digest)) return;
  digests.add(descriptor.digest);
  const file = blobPath(blobsDirectory(directory), descriptor.digest);
  // Anything that is not an image manifest may be an index or an artifact; both name what they need the same way.
  const content: Partial<Manifest & Index> = JSON.parse(await readFile(file, 'utf8'));
  if (descriptor.mediaType === OCI_MANIFEST || content.config) {
    for (const { digest } of [content.config, ...(content.layers ?? [])].filter((one) => one !== undefined)) {
      digests.add(digest);
    }
  }
  for (const nested of content.manifests ?? []) await collect(directory, nested, digests);
}

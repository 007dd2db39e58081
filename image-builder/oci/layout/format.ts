// What reading and writing of OCI layouts have in common (OCI image-spec image-layout.md).
import { join } from 'node:path';
import { type Digest, isDigest, splitDigest } from '../digest.ts';
import type { Descriptor } from '../model.ts';

/** Name and content of the file that marks a layout. */
export const LAYOUT_FILE = 'oci-layout';
export const LAYOUT_CONTENT = '{"imageLayoutVersion":"1.0.0"}';

/** Name of the file with the images. */
export const INDEX_FILE = 'index.json';

/** Annotation of a tag (annotations.md). */
const REF_NAME = 'org.opencontainers.image.ref.name';

/** The tag of an entry of the index; undefined for one that has none, as what refers to an image. */
export function tagOf({ annotations }: Pick<Descriptor, 'annotations'>): string | undefined {
  return annotations?.[REF_NAME];
}

/** The entry of the index for an image under a tag. */
export function tagged(manifest: Descriptor, tag: string): Descriptor {
  return { ...manifest, annotations: { [REF_NAME]: tag } };
}

/** The file of a blob, relative to the layout, with forward slashes. */
export function blobName(digest: Digest): string {
  const { algorithm, hex } = splitDigest(digest);
  return `blobs/${algorithm}/${hex}`;
}

/** Where a layout on this machine has the blobs that this program writes. */
export const blobsDirectory = (directory: string): string => join(directory, 'blobs', 'sha256');

/**
 * The file of a blob in a directory of them.
 * @throws TypeError for what is no digest by SHA-256: it comes from a file, and becomes part of a path
 */
export function blobPath(blobs: string, digest: string): string {
  if (!isDigest(digest) || !digest.startsWith('sha256:')) {
    throw new TypeError(`not a SHA-256 digest: ${digest}`);
  }
  return join(blobs, splitDigest(digest).hex);
}

// Writes the images as one OCI layout, in which blobs that several have are there once, and the list of their names.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Digest } from '../../oci/digest.ts';
import { addFile } from '../../oci/layout/blobs.ts';
import { blobsDirectory, INDEX_FILE, LAYOUT_CONTENT, LAYOUT_FILE, tagged } from '../../oci/layout/format.ts';
import { OCI_INDEX } from '../../oci/media-types.ts';
import { formatReference, parseReference, type RegistryReference } from '../../oci/reference.ts';
import { LAYOUT_DIRECTORY, LIST_FILE } from '../../spec/variables/kubernetes/preload.ts';
import type { BlobCache } from './blob-cache.ts';
import type { ReadImage } from './pull-image.ts';

/** Annotation that containerd takes an image's name from. */
const CONTAINERD_NAME = 'io.containerd.image.name';

/**
 * Writes to a directory; blobs are links to the cache where the file system allows it.
 * @param images in the order in which they are to be listed; everything of them is in the cache
 * @returns SHA-256 of the blobs in hex, by path
 */
export async function writeImages(
  images: readonly ReadImage[],
  cache: BlobCache,
  directory: string,
): Promise<Record<string, string>> {
  const layout = join(directory, LAYOUT_DIRECTORY);
  const blobs = blobsDirectory(layout);
  await mkdir(blobs, { recursive: true });
  const digests = new Set(
    images.flatMap(({ documents, layers }) => [...documents, ...layers].map(({ digest }) => digest)),
  );
  for (const digest of digests) await addFile(cache.path(digest), blobs, digest);
  const named = images.flatMap(({ reference, root }) =>
    namesOf(reference, root.digest).map((name) => ({ name, root })),
  );
  const manifests = named.map(({ name, root }) => {
    const { annotations, ...entry } = tagged(root, name);
    return { ...entry, annotations: { ...annotations, [CONTAINERD_NAME]: name } };
  });
  await writeFile(join(layout, LAYOUT_FILE), LAYOUT_CONTENT);
  await writeFile(
    join(layout, INDEX_FILE),
    JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }),
  );
  const list = named.map(({ name, root }) => `${name} ${root.digest}\n`).join('');
  await writeFile(join(directory, LIST_FILE), list);
  return Object.fromEntries(
    [...digests].map((digest) => {
      const hex = digest.slice('sha256:'.length);
      return [join(LAYOUT_DIRECTORY, 'blobs', 'sha256', hex), hex];
    }),
  );
}

/** As the container runtime names an image that it has pulled: by its tag, if there is one, and by its digest. */
function namesOf(reference: string, digest: Digest): string[] {
  const { tag, digest: _, ...place } = parseReference(reference) as RegistryReference;
  return [
    ...(tag === undefined ? [] : [formatReference({ ...place, tag })]),
    formatReference({ ...place, digest }),
  ];
}

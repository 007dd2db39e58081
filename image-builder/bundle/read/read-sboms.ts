// Reads the bills of materials of all disks of a bundle.
import { formatReference, parseReference } from '../../oci/reference.ts';
import { BundleError } from '../bundle-error.ts';
import { listSboms, openSbom } from '../sboms.ts';
import { openImage } from './open-image.ts';
import { withinLimits } from './read-limits.ts';
import type { ReadBundleOptions } from './read-options.ts';

/** The bills of materials of a bundle. */
export interface BundleSboms {
  /** With the digest. */
  image: string;
  digest: string;
  /** By file name of the disk; JSON text, as stored. */
  documents: { disk: string; digest: string; content: Buffer }[];
}

/** More disks than that no bundle has. */
const MOST = 200;

/**
 * @returns of each disk one document; nobody vouches for them
 * @throws BundleError SBOM_MISSING when there is none, RegistryError
 */
export async function readSboms(text: string, options: ReadBundleOptions): Promise<BundleSboms> {
  const reference = parseReference(text);
  return withinLimits(options, async (limited) => {
    const { image, close } = await openImage(reference, limited);
    try {
      const documents = new Map<string, BundleSboms['documents'][number]>();
      for await (const listed of listSboms(image.source, image.digest)) {
        const disk = listed.file ?? 'unnamed';
        if (documents.has(disk) || documents.size >= MOST) continue;
        const { descriptor, read } = await openSbom(image.source, listed);
        documents.set(disk, { disk, digest: descriptor.digest, content: await read() });
      }
      if (documents.size === 0)
        throw new BundleError('SBOM_MISSING', `${text} has no bill of materials`, { hint: WHY_MISSING });
      const ordered = [...documents.values()].sort((a, b) => (a.disk < b.disk ? -1 : 1));
      return {
        image: formatReference({ ...reference, digest: image.digest }),
        digest: image.digest,
        documents: ordered,
      };
    } finally {
      await close();
    }
  });
}

/** Where bills of materials get lost. */
export const WHY_MISSING =
  'It was built by an earlier release, or copied by a tool that leaves referrers behind; copy it with image-builder push or oras cp -r.';

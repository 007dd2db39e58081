// The bills of materials that come with a bundle.
import type { Digest } from '../../oci/digest.ts';
import type { ImageSource } from '../../oci/image-source.ts';
import type { Descriptor } from '../../oci/model.ts';
import { parseReference } from '../../oci/reference.ts';
import { describeReferrer, referrerContentOf, referrerManifestOf } from '../../oci/referrers/read.ts';
import { BundleError } from '../bundle-error.ts';
import { DISK_ANNOTATION, SPDX } from '../sbom-referrer.ts';
import { openImage } from './open-image.ts';
import { withinLimits } from './read-limits.ts';
import type { ReadBundleOptions } from './read-options.ts';

/** A hundred times as large as that of a node image. Bytes. */
const LIMIT = 64 * 1024 * 1024;

/**
 * Reads the SPDX document of a disk.
 * @param disk name of the disk or of its file; may be left out when there is one
 * @returns JSON text, as stored; nobody vouches for it
 * @throws BundleError SBOM_MISSING, RegistryError
 */
export async function readSbom(
  text: string,
  disk: string | undefined,
  options: ReadBundleOptions,
): Promise<Buffer> {
  return withinLimits(options, async (limited) => {
    const { image, close } = await openImage(parseReference(text), limited);
    try {
      const found = await sbomsOf(image.source, image.digest);
      const chosen = chooseSbom(found, disk, text);
      const manifest = await referrerManifestOf(image.source, chosen);
      return await referrerContentOf(image.source, manifest, LIMIT, `the bill of materials ${chosen.digest}`);
    } finally {
      await close();
    }
  });
}

async function sbomsOf(source: ImageSource, digest: Digest): Promise<Descriptor[]> {
  const found: Descriptor[] = [];
  for await (const descriptor of source.referrers?.(digest) ?? []) {
    const { artifactType, annotations } = await describeReferrer(source, descriptor);
    if (artifactType === SPDX) found.push({ ...descriptor, annotations });
  }
  return found;
}

function chooseSbom(found: readonly Descriptor[], disk: string | undefined, text: string): Descriptor {
  const nameOf = ({ annotations }: Descriptor) =>
    annotations?.[DISK_ANNOTATION]?.replace(/\.qcow2$/, '') ?? 'unnamed';
  const names = [...new Set(found.map(nameOf))].sort();
  const wanted = disk?.replace(/\.qcow2$/, '') ?? (names.length === 1 ? names[0] : undefined);
  const chosen = found.find((one) => nameOf(one) === wanted);
  if (chosen) return chosen;
  if (names.length === 0)
    throw new BundleError('SBOM_MISSING', `${text} has no bill of materials`, {
      hint: 'It was built by an earlier release, or copied by a tool that leaves referrers behind; copy it with image-builder push or oras cp -r.',
    });
  const problem = disk === undefined ? `has ${names.length} bills of materials` : `has none of ${disk}`;
  throw new BundleError('SBOM_MISSING', `${text} ${problem}`, {
    hint: `Choose one with --disk: ${names.join(', ')}.`,
  });
}

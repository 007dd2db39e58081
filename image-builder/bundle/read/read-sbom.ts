// Reads the bill of materials of a disk, for whoever names a bundle and a disk.
import { parseReference } from '../../oci/reference.ts';
import { BundleError } from '../bundle-error.ts';
import { type ListedSbom, listSboms, openSbom } from '../sboms.ts';
import { openImage } from './open-image.ts';
import { withinLimits } from './read-limits.ts';
import type { ReadBundleOptions } from './read-options.ts';
import { WHY_MISSING } from './read-sboms.ts';

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
      const found: ListedSbom[] = [];
      for await (const sbom of listSboms(image.source, image.digest)) found.push(sbom);
      const document = await openSbom(image.source, chooseSbom(found, disk, text));
      return await document.read();
    } finally {
      await close();
    }
  });
}

function chooseSbom(found: readonly ListedSbom[], disk: string | undefined, text: string): ListedSbom {
  const nameOf = ({ file }: ListedSbom) => file?.replace(/\.qcow2$/, '') ?? 'unnamed';
  const names = [...new Set(found.map(nameOf))].sort();
  const wanted = disk?.replace(/\.qcow2$/, '') ?? (names.length === 1 ? names[0] : undefined);
  const chosen = found.find((one) => nameOf(one) === wanted);
  if (chosen) return chosen;
  if (names.length === 0)
    throw new BundleError('SBOM_MISSING', `${text} has no bill of materials`, {
      hint: WHY_MISSING,
    });
  const problem = disk === undefined ? `has ${names.length} bills of materials` : `has none of ${disk}`;
  throw new BundleError('SBOM_MISSING', `${text} ${problem}`, {
    hint: `Choose one with --disk: ${names.join(', ')}.`,
  });
}

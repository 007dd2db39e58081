// /manifests/packages.json: what is installed in the images of a bundle of ours.

import type { Cost } from '../../oci/http/transport.ts';
import { stepsOf } from '../../oci/manifest.ts';
import { parseReference } from '../../oci/reference.ts';
import { BundleError } from '../bundle-error.ts';
import { PACKAGES_FILE, PACKAGES_LAYER_HISTORY } from '../model.ts';
import { readFromLayers } from './image-files.ts';
import { openImage } from './open-image.ts';
import { cleanPath } from './overlay/path.ts';
import { withinLimits } from './read-limits.ts';
import type { ReadBundleOptions } from './read-options.ts';

/** Versions by package name. */
export type InstalledPackages = Readonly<Record<string, { version: string; architecture: string }>>;

/**
 * Reads the list out of the layer that our builder has put it into. A bundle that somebody else has written has none:
 * nobody reads gigabytes to find out that the predecessor had no such file.
 * @param text a reference, best with its digest
 * @throws RegistryError, TarError, BundleError
 */
export async function readPackages(
  text: string,
  options: ReadBundleOptions,
): Promise<{ packages?: InstalledPackages; cost: Cost }> {
  return withinLimits(options, (limited) => read(text, limited));
}

async function read(
  text: string,
  options: ReadBundleOptions,
): Promise<{ packages?: InstalledPackages; cost: Cost }> {
  const { image, close, cost } = await openImage(parseReference(text), options);
  try {
    // By the history, which survives tools that compress layers anew, as the marks of layers do not.
    const steps = stepsOf(await image.config());
    const index = steps.indexOf(PACKAGES_LAYER_HISTORY);
    const layer = steps.length === image.manifest.layers.length ? image.manifest.layers[index] : undefined;
    if (!layer) return { cost: cost() };
    const path = cleanPath(PACKAGES_FILE);
    const query = { files: [path], directories: [] };
    const found = await readFromLayers(
      image,
      { layers: [layer], leftOut: [], coverage: 'verified' },
      query,
      'verified',
    );
    const content = found.files.get(path)?.content;
    if (!content) return { cost: cost() };
    return { packages: parsePackages(content.toString('utf8'), image.source.name), cost: cost() };
  } finally {
    await close();
  }
}

/** @throws BundleError INVALID_CONTENT; names and versions come from whoever has published the bundle */
function parsePackages(json: string, where: string): InstalledPackages {
  const invalid = (cause?: unknown) =>
    new BundleError('INVALID_CONTENT', `${PACKAGES_FILE} of ${where} must be a list of packages`, { cause });
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw invalid(error);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid();
  for (const entry of Object.values(value)) {
    if (typeof entry?.version !== 'string' || typeof entry.architecture !== 'string') throw invalid();
  }
  return value as InstalledPackages;
}

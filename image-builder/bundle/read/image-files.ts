// Reads files out of an image: chooses the layers, lays them over each other, and says how far the result was checked.

import { shellWord } from '../../base/diagnostics/shell-word.ts';
import type { Image } from '../../oci/image.ts';
import type { Descriptor } from '../../oci/model.ts';
import { BundleError } from '../bundle-error.ts';
import { type LayerPlan, markedLayer, planByHistory } from './layer-plan.ts';
import { FILE_LIMIT_BYTES, LayerReading } from './layer-reading.ts';
import type { OverlayResult } from './overlay/read-files.ts';
import type { OverlayQuery } from './overlay/wanted-paths.ts';
import { type Verification, weakest } from './verification.ts';

export interface ImageFiles extends OverlayResult {
  /** How far the result was checked. */
  verification: Verification;
  /** What was considered, uppermost first: `origin.layer` counts in here. */
  layers: Descriptor[];
}

/**
 * Reads files of an image.
 * @param verification what is demanded: `full` reads every layer to its end and trusts no history
 * @throws RegistryError, TarError, BundleError
 */
export async function readImageFiles(
  image: Image,
  query: OverlayQuery,
  verification: Verification,
): Promise<ImageFiles> {
  return readFromLayers(image, await planLayers(image, query, verification), query, verification);
}

/** Reads files of the layers of a plan, and of those that turn out not to be ruled out. */
export async function readFromLayers(
  image: Image,
  plan: LayerPlan,
  query: OverlayQuery,
  verification: Verification,
): Promise<ImageFiles> {
  const result = await new LayerReading(image, query, verification).read(plan);
  const { layers, coverage } = result.plan;
  return { ...result, layers, verification: weakest(result.coverage, coverage) };
}

/** Which layers count for a query. */
export async function planLayers(
  image: Image,
  query: OverlayQuery,
  verification: Verification,
): Promise<LayerPlan> {
  const wanted = [...query.files, ...(query.optional ?? []), ...query.directories.map(({ path }) => path)];
  const marked = markedLayer(image.manifest, wanted);
  if (marked) return { layers: [marked], leftOut: [], coverage: 'full' };
  const all = image.manifest.layers.toReversed();
  if (verification === 'full' || all.length === 1) return { layers: all, leftOut: [], coverage: 'full' };
  return planByHistory(image.manifest, await image.config(), wanted, verification);
}

/**
 * The content of a file of the result.
 * @throws BundleError FILE_NOT_FOUND, FILE_TOO_LARGE
 */
export function contentOf(files: OverlayResult, path: string, where: string): Buffer {
  const file = files.files.get(path);
  if (!file) {
    throw new BundleError('FILE_NOT_FOUND', `${where} has no file /${path}`, {
      hint: `List the files with: image-builder extract ${shellWord(where)} --list`,
    });
  }
  if (!file.content) {
    throw new BundleError(
      'FILE_TOO_LARGE',
      `/${path} of ${where} has ${file.size} bytes, more than the limit of ${FILE_LIMIT_BYTES}`,
      {
        hint: 'For disk images, use image-builder copy.',
      },
    );
  }
  return file.content;
}

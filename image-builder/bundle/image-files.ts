// Reads files out of an image: chooses the layers, lays them over each other, and says how far the result was checked.

import type { Image } from '../registry/image.ts';
import { BundleError } from './error.ts';
import { scanOneLayer, type Verification } from './layer-access.ts';
import { type LayerPlan, markedLayer, planByHistory } from './layer-plan.ts';
import { type OverlayResult, readOverlay } from './overlay/read.ts';
import type { ContentBudget } from './overlay/scan.ts';
import type { OverlayQuery } from './overlay/watch.ts';

/** Files that are read whole must be smaller: profiles have kilobytes. */
export const FILE_LIMIT_BYTES = 8 * 1024 * 1024;
const TOTAL_LIMIT_BYTES = 24 * 1024 * 1024;

export interface ImageFiles extends OverlayResult {
  /** How the layers were chosen. */
  basis: LayerPlan['basis'];
  /** `full`: every layer that counts was read to its end and checked. */
  verification: Verification;
}

/**
 * Reads files of an image.
 * @param verification `full` reads every layer to its end and trusts no history
 * @throws RegistryError, TarError, BundleError
 */
export async function readImageFiles(
  image: Image,
  query: OverlayQuery,
  verification: Verification,
): Promise<ImageFiles> {
  const { layers, basis } = await planLayers(image, query, verification);
  return readFromLayers(image, { layers, basis }, query, verification);
}

/** Reads files of the given layers only. */
export async function readFromLayers(
  image: Image,
  plan: LayerPlan,
  query: OverlayQuery,
  verification: Verification,
): Promise<ImageFiles> {
  const exhaustive = verification === 'full';
  const budget: ContentBudget = { file: FILE_LIMIT_BYTES, left: TOTAL_LIMIT_BYTES };
  const result = await readOverlay(
    plan.layers.length,
    query,
    (index, watch) => {
      const layer = plan.layers[index];
      if (!layer) throw new RangeError(`no layer ${index}`);
      return scanOneLayer({ image, layer, watch, budget }, verification);
    },
    exhaustive,
  );
  // A file of a layer that was checked is certain only when no layer was left out by the history alone.
  const isFull = !result.unverified && !result.stoppedEarly && plan.basis !== 'history';
  return { ...result, basis: plan.basis, verification: isFull ? 'full' : 'partial' };
}

/** Which layers count for a query. */
export async function planLayers(
  image: Image,
  query: OverlayQuery,
  verification: Verification,
): Promise<LayerPlan> {
  const wanted = [...query.files, ...(query.optional ?? []), ...query.directories.map(({ path }) => path)];
  const marked = markedLayer(image.manifest, wanted);
  if (marked) return { layers: [marked], basis: 'marked' };
  const all = image.manifest.layers.toReversed();
  if (verification === 'full' || all.length === 1) return { layers: all, basis: 'all' };
  return planByHistory(image.manifest, await image.config(), wanted);
}

/**
 * The content of a file of the result.
 * @throws BundleError FILE_NOT_FOUND, FILE_TOO_LARGE
 */
export function contentOf(files: OverlayResult, path: string, where: string): Buffer {
  const file = files.files.get(path);
  if (!file) {
    throw new BundleError('FILE_NOT_FOUND', `${where} has no file /${path}`, {
      hint: `List the files with: image-builder extract ${where} --list`,
    });
  }
  if (!file.content) {
    throw new BundleError(
      'FILE_TOO_LARGE',
      `/${path} of ${where} has ${file.size} bytes; at most ${FILE_LIMIT_BYTES} are read`,
      {
        hint: 'To get disk images use image-builder copy.',
      },
    );
  }
  return file.content;
}

// Reads files out of an image: chooses the layers, lays them over each other, and says how far the result was checked.

import { shellWord } from '../diagnostics/shell-word.ts';
import { expansionLimit } from '../registry/compression.ts';
import { throwIfCancelled } from '../registry/error.ts';
import type { Image } from '../registry/image.ts';
import type { Descriptor } from '../registry/manifest.ts';
import { BundleError } from './error.ts';
import { scanOneLayer } from './layer-access.ts';
import { includingLayers, type LayerPlan, markedLayer, misledBy, planByHistory } from './layer-plan.ts';
import { type OverlayResult, readOverlay } from './overlay/read.ts';
import type { LayerScan, ScanBudget } from './overlay/scan.ts';
import type { OverlayQuery, WatchList } from './overlay/watch.ts';
import { type Verification, weakest } from './verification.ts';

/** Files that are read whole must be smaller: profiles have kilobytes. */
export const FILE_LIMIT_BYTES = 8 * 1024 * 1024;
const TOTAL_LIMIT_BYTES = 24 * 1024 * 1024;
const ENTRY_LIMIT = 5_000_000;
/** A million of entries. */
const NOTED_LIMIT_BYTES = 160 * 1024 * 1024;

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
  const budget: ScanBudget = {
    file: FILE_LIMIT_BYTES,
    left: TOTAL_LIMIT_BYTES,
    expanded: expansionLimit(plan.layers.reduce((sum, { size }) => sum + size, 0)),
    entries: ENTRY_LIMIT,
    noted: NOTED_LIMIT_BYTES,
  };
  // A layer that occurs several times is the same each time.
  const known = new Map<string, { scan: LayerScan; version: number }>();
  const links = new Set<string>();
  const scan = async (index: number, watch: WatchList) => {
    const layer = plan.layers[index];
    if (!layer) throw new RangeError(`no layer ${index}`);
    const before = known.get(layer.digest);
    if (before?.version === watch.version) {
      // What waits for nothing lets no signal and no deadline through.
      await new Promise(setImmediate);
      throwIfCancelled(image.signal);
      return before.scan;
    }
    const { version } = watch;
    const found = await scanOneLayer({ image, layer, watch, budget }, verification);
    known.set(layer.digest, { scan: found, version });
    if (plan.leftOut.length > 0) for (const path of linksOf(found)) links.add(path);
    return found;
  };
  // What was left out must not lie behind a link of any layer; to be certain, all of them have to be seen.
  const exhaustive = verification === 'full' || (verification === 'verified' && plan.leftOut.length > 0);
  const result = await readOverlay(plan.layers.length, query, scan, exhaustive);
  const misled = misledBy(links, plan);
  if (misled.length > 0)
    return readFromLayers(image, includingLayers(image.manifest, plan, misled), query, verification);
  return { ...result, layers: plan.layers, verification: weakest(result.coverage, plan.coverage) };
}

function linksOf({ entries, links }: LayerScan): string[] {
  const watched = entries.filter(({ kind }) => kind === 'symlink');
  return [...links, ...watched].map(({ path }) => path);
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
      `/${path} of ${where} has ${file.size} bytes; at most ${FILE_LIMIT_BYTES} are read`,
      {
        hint: 'To get disk images use image-builder copy.',
      },
    );
  }
  return file.content;
}

// One reading of an image's layers, which may have to be widened when what was left out turns out to matter.

import { throwIfCancelled } from '../../base/diagnostics/cancelled.ts';
import { expansionLimit } from '../../oci/codec/compression.ts';
import type { Image } from '../../oci/image.ts';
import { scanOneLayer } from './layer-access.ts';
import { type CopyLayer, includingLayers, type LayerPlan, misledBy } from './layer-plan.ts';
import { type OverlayResult, readOverlay } from './overlay/read-files.ts';
import type { LayerScan, ScanBudget } from './overlay/scan-layer.ts';
import { type OverlayQuery, WatchList } from './overlay/wanted-paths.ts';
import type { Verification } from './verification.ts';

/** Files that are read whole must be smaller: profiles have kilobytes. */
export const FILE_LIMIT_BYTES = 8 * 1024 * 1024;
const TOTAL_LIMIT_BYTES = 24 * 1024 * 1024;
const ENTRY_LIMIT = 5_000_000;
/** A million of entries. */
const NOTED_LIMIT_BYTES = 160 * 1024 * 1024;

/** What was read, by which plan. */
export interface PlannedResult extends OverlayResult {
  plan: LayerPlan;
}

/** Reads the files of a query out of layers. */
export class LayerReading {
  readonly #image: Image;
  readonly #query: OverlayQuery;
  readonly #verification: Verification;
  readonly #budget: ScanBudget;
  /** A layer that occurs several times, or is read again, is the same each time. */
  readonly #known = new Map<string, { scan: LayerScan; watch: WatchList; version: number }>();
  /** All lists begin with this version, and with the same content. */
  readonly #firstVersion: number;
  /** Paths of all symbolic links that were met. */
  readonly #links = new Set<string>();

  constructor(image: Image, query: OverlayQuery, verification: Verification) {
    this.#image = image;
    this.#query = query;
    this.#verification = verification;
    this.#firstVersion = new WatchList(query).version;
    const stored = image.manifest.layers.reduce((sum, { size }) => sum + size, 0);
    this.#budget = {
      file: FILE_LIMIT_BYTES,
      left: TOTAL_LIMIT_BYTES,
      expanded: expansionLimit(stored),
      entries: ENTRY_LIMIT,
      noted: NOTED_LIMIT_BYTES,
    };
  }

  /** @throws RegistryError, TarError, BundleError */
  async read(first: LayerPlan): Promise<PlannedResult> {
    let plan = first;
    let exhaustive = this.#verification === 'full';
    for (;;) {
      const scan = (index: number, watch: WatchList) => this.#scan(plan, index, watch);
      const result = await readOverlay(plan.layers.length, this.#query, scan, exhaustive);
      const doubtful = misledBy(this.#links, plan);
      const unseen = exhaustive ? [] : this.#unseen(plan, result.layersRead);
      if (doubtful.length === 0 && unseen.length === 0) return { ...result, plan };
      const isCheaper =
        sizeOf(unseen) <= sizeOf(plan.layers.slice(result.layersRead).map((layer) => ({ layer })));
      if (unseen.length > 0 && !isCheaper) exhaustive = true;
      else plan = includingLayers(this.#image.manifest, plan, [...new Set([...doubtful, ...unseen])]);
    }
  }

  /**
   * Layers above the answer that were left out, while layers below it have not been read that may have links on their
   * way. Either the ones or the others must be.
   */
  #unseen(plan: LayerPlan, layersRead: number): CopyLayer[] {
    const { layers } = this.#image.manifest;
    const deepest = plan.layers[layersRead - 1];
    if (this.#verification === 'partial' || !deepest || layersRead === plan.layers.length) return [];
    const position = layers.indexOf(deepest);
    return plan.leftOut.filter(({ layer }) => layers.indexOf(layer) > position);
  }

  async #scan(plan: LayerPlan, index: number, watch: WatchList): Promise<LayerScan> {
    const layer = plan.layers[index];
    if (!layer) throw new RangeError(`no layer ${index}`);
    const before = this.#known.get(layer.digest);
    const isSameList = before?.watch === watch || before?.version === this.#firstVersion;
    if (before && isSameList && before.version === watch.version) {
      // What waits for nothing lets no signal and no deadline through.
      await new Promise(setImmediate);
      throwIfCancelled(this.#image.signal);
      return before.scan;
    }
    const { version } = watch;
    const request = { image: this.#image, layer, watch, budget: this.#budget };
    const scan = await scanOneLayer(request, this.#verification);
    this.#known.set(layer.digest, { scan, watch, version });
    if (plan.leftOut.length > 0) for (const path of linksOf(scan)) this.#links.add(path);
    return scan;
  }
}

function sizeOf(layers: readonly Pick<CopyLayer, 'layer'>[]): number {
  return layers.reduce((sum, { layer }) => sum + layer.size, 0);
}

function linksOf({ entries, links }: LayerScan): string[] {
  const watched = entries.filter(({ kind }) => kind === 'symlink');
  return [...links, ...watched].map(({ path }) => path);
}

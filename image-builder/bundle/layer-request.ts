// What is scanned, and for what.
import type { Image } from '../registry/image.ts';
import type { Descriptor } from '../registry/manifest.ts';
import type { ScanBudget } from './overlay/scan.ts';
import type { WatchList } from './overlay/watch.ts';

/** A layer that is to be scanned. */
export interface LayerRequest {
  image: Image;
  layer: Descriptor;
  watch: WatchList;
  budget: ScanBudget;
}

// What is scanned, and for what.
import type { Image } from '../../oci/image.ts';
import type { Descriptor } from '../../oci/model.ts';
import type { ScanBudget } from './overlay/scan-layer.ts';
import type { WatchList } from './overlay/wanted-paths.ts';

/** A layer that is to be scanned. */
export interface LayerRequest {
  image: Image;
  layer: Descriptor;
  watch: WatchList;
  budget: ScanBudget;
}

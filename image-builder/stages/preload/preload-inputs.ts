// What decides the images that disks carry. Pure.
import type { Architecture } from '../../base/architecture.ts';
import type { PinnedImage, ResolvedPreload } from '../../spec/variables/resolved-kubernetes.ts';

/** What decides the images: mirrors do not. */
export interface PreloadInputs {
  architecture: Architecture;
  /** Sorted by their references. */
  images: readonly PinnedImage[];
}

/** @throws TypeError for images that nobody has pinned: the build has to be planned by whoever opens it */
export function preloadInputs({ images }: ResolvedPreload, architecture: Architecture): PreloadInputs {
  if (images === undefined) throw new TypeError('the images have no digests');
  return { architecture, images };
}

// Which layers can hold what is wanted, told before any of them is read: by our own builder's mark, or by the image's
// history, in which Docker, BuildKit, buildah and kaniko note where each COPY and ADD wrote to, and our own builder what
// it put into each layer: tools that compress or convert layers drop marks, but keep the history.

import type { Descriptor, ImageConfig, Manifest } from '../registry/manifest.ts';
import { cleanPath, isWithin, parentOf } from './overlay/path.ts';
import {
  IMAGE_LAYER_HISTORY,
  PACKAGES_FILE,
  PACKAGES_LAYER_HISTORY,
  PROFILES_DIRECTORY,
  PROFILES_LAYER_ANNOTATION,
  PROFILES_LAYER_HISTORY,
  QCOWS_DIRECTORY,
} from './types.ts';

/** Layers to consider, uppermost first, and why the others are not. */
export interface LayerPlan {
  layers: Descriptor[];
  basis: /** The builder's mark says that one layer holds everything below /profiles. */
    | 'marked'
    /** The history says which layers write there. */
    | 'history'
    /** Every layer may. */
    | 'all';
}

/** The layer that our builder marked, if everything that is wanted lies below /profiles. */
export function markedLayer(manifest: Manifest, wanted: string[]): Descriptor | undefined {
  const directory = cleanPath(PROFILES_DIRECTORY);
  if (!wanted.every((path) => isWithin(path, directory))) return undefined;
  const marked = manifest.layers.filter(
    ({ annotations }) => annotations?.[PROFILES_LAYER_ANNOTATION] !== undefined,
  );
  return marked.length === 1 ? marked[0] : undefined;
}

/** What the history says about a layer and the wanted paths. */
export type Verdict = 'writes' | 'writes elsewhere' | 'unknown';

/**
 * Chooses layers by the history. A layer that copies to somewhere else is left out; when some layer copies to the wanted
 * place, what lies below the lowest of those is taken for a base image and left out too.
 */
export function planByHistory(manifest: Manifest, config: ImageConfig, wanted: string[]): LayerPlan {
  const steps = config.history.filter(({ emptyLayer }) => !emptyLayer);
  const all = manifest.layers.toReversed();
  if (steps.length !== manifest.layers.length) return { layers: all, basis: 'all' };
  const verdicts = steps.map(({ createdBy }) => verdict(createdBy, wanted));
  const lowest = verdicts.indexOf('writes');
  const kept = manifest.layers.filter((_, index) => {
    if (verdicts[index] === 'writes elsewhere') return false;
    return lowest < 0 || index >= lowest;
  });
  if (kept.length === manifest.layers.length) return { layers: all, basis: 'all' };
  return { layers: kept.reverse(), basis: 'history' };
}

/** Reads one `created_by`. */
export function verdict(createdBy: string, wanted: string[]): Verdict {
  const destinations = ownDestinations(createdBy) ?? copyDestination(createdBy);
  if (destinations === undefined) return 'unknown';
  // COPY to /profiles, or to a file in it, writes there; COPY to / may write anywhere.
  const meets = (destination: string, path: string) =>
    path !== '' && (isWithin(destination, path) || (destination !== '' && isWithin(path, destination)));
  if (destinations.some((destination) => wanted.some((path) => meets(destination, path)))) return 'writes';
  return destinations.includes('') || wanted.includes('') ? 'unknown' : 'writes elsewhere';
}

/** Where our own builder wrote to. */
function ownDestinations(createdBy: string): string[] | undefined {
  if (createdBy === PROFILES_LAYER_HISTORY) return [cleanPath(PROFILES_DIRECTORY)];
  if (createdBy === PACKAGES_LAYER_HISTORY)
    return [cleanPath(QCOWS_DIRECTORY), parentOf(cleanPath(PACKAGES_FILE))];
  const isImage = createdBy.startsWith(IMAGE_LAYER_HISTORY) && /\.qcow2$/.test(createdBy);
  return isImage ? [cleanPath(QCOWS_DIRECTORY)] : undefined;
}

/** The absolute destination of a COPY or ADD; undefined for anything else and for what is not certain. */
function copyDestination(createdBy: string): string[] | undefined {
  const text = createdBy.trim();
  // The classic builder and buildah: `/bin/sh -c #(nop) COPY dir:<hash> in /profiles `.
  const classic = /^\/bin\/sh -c #\(nop\)\s+(?:COPY|ADD)\s.*\sin\s(\/\S*)$/.exec(text);
  if (classic?.[1]) return [cleanPath(classic[1])];
  // BuildKit and kaniko: `COPY profiles /profiles # buildkit`; the JSON form is for paths with blanks.
  const modern = /^(?:COPY|ADD)\s+(?!.*[["])(?:\S+\s+)+(\/\S*?)(?:\s+# buildkit)?$/.exec(text);
  return modern?.[1] ? [cleanPath(modern[1])] : undefined;
}

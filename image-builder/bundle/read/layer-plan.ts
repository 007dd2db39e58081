// Which layers can hold what is wanted, told before any of them is read: by our own builder's mark, or by the image's
// history, in which Docker, BuildKit, buildah and kaniko note where each COPY and ADD wrote to, and our own builder what
// it put into each layer: tools that compress or convert layers drop marks, but keep the history.

import { stepsOf } from '../../oci/manifest.ts';
import type { Descriptor, ImageConfig, Manifest } from '../../oci/model.ts';
import {
  FUNCTION_LAYER_HISTORY,
  IMAGE_LAYER_HISTORY,
  INDEX_DIRECTORY,
  INDEX_LAYER_HISTORY,
  PACKAGES_FILE,
  PACKAGES_LAYER_HISTORY,
  PROFILES_DIRECTORY,
  PROFILES_LAYER_ANNOTATION,
  PROFILES_LAYER_HISTORY,
  QCOWS_DIRECTORY,
} from '../model.ts';
import { cleanPath, isWithin, parentOf } from './overlay/path.ts';
import type { Verification } from './verification.ts';

/** Layers to consider, uppermost first, and what of the others was believed. */
export interface LayerPlan {
  layers: Descriptor[];
  /** Layers that a COPY has made which writes elsewhere, unless a link that lies on its way leads to what is wanted. */
  leftOut: CopyLayer[];
  /** What a reading of these layers to their ends is worth. */
  coverage: Verification;
}

/** A layer that a COPY or ADD has made. */
export interface CopyLayer {
  layer: Descriptor;
  /** Path in the image, cleaned. */
  destination: string;
}

/** The layer that our builder marked, if everything that is wanted lies below /profiles. */
export function markedLayer(manifest: Manifest, wanted: string[]): Descriptor | undefined {
  if (!wanted.every(isProfile)) return undefined;
  const marked = manifest.layers.filter(
    ({ annotations }) => annotations?.[PROFILES_LAYER_ANNOTATION] !== undefined,
  );
  return marked.length === 1 ? marked[0] : undefined;
}

/** What the history says about a layer and the wanted paths. */
export type Verdict = 'writes' | 'writes elsewhere' | 'unknown';

/**
 * Chooses layers by the history: a layer that copies to somewhere else is left out. When not all has to be verified, what
 * lies below the lowest layer that copies to the wanted place is taken for a base image, and left out too.
 */
export function planByHistory(
  manifest: Manifest,
  config: ImageConfig,
  wanted: string[],
  verification: 'partial' | 'verified',
): LayerPlan {
  const steps = stepsOf(config);
  const all: LayerPlan = { layers: manifest.layers.toReversed(), leftOut: [], coverage: 'full' };
  if (steps.length !== manifest.layers.length) return all;
  const top = manifest.layers.at(-1);
  // Our builder puts all of them there, and nothing lies above.
  if (top && steps.at(-1) === PROFILES_LAYER_HISTORY && wanted.every(isProfile))
    return { layers: [top], leftOut: [], coverage: 'verified' };
  const verdicts = steps.map((step) => verdict(step, wanted));
  const lowest = verification === 'partial' ? verdicts.indexOf('writes') : 0;
  const kept: Descriptor[] = [];
  const leftOut: CopyLayer[] = [];
  const copied: Destination[] = [];
  for (const [index, layer] of manifest.layers.entries()) {
    const destination = copyDestination(steps[index] ?? '');
    const isElsewhere = verdicts[index] === 'writes elsewhere';
    // What another COPY has put there may be a link.
    const isDoubtful = destination && copied.some((earlier) => mayHoldLink(earlier, destination.path));
    if (destination && isElsewhere) copied.push(destination);
    if (index < lowest) continue;
    if (!isElsewhere || isDoubtful) kept.push(layer);
    else if (destination) leftOut.push({ layer, destination: destination.path });
  }
  if (kept.length === manifest.layers.length) return all;
  return { layers: kept.reverse(), leftOut, coverage: lowest > 0 ? 'partial' : 'verified' };
}

/** Those of the layers that were left out whose way leads, or may lead, through one of the links. */
export function misledBy(links: ReadonlySet<string>, { leftOut }: LayerPlan): CopyLayer[] {
  return leftOut.filter(({ destination }) => {
    for (let path = destination; path !== ''; path = parentOf(path)) if (links.has(path)) return true;
    return false;
  });
}

/** The plan with layers that were left out before. */
export function includingLayers(manifest: Manifest, plan: LayerPlan, added: readonly CopyLayer[]): LayerPlan {
  const chosen = new Set([...plan.layers, ...added.map(({ layer }) => layer)]);
  return {
    ...plan,
    layers: manifest.layers.filter((layer) => chosen.has(layer)).reverse(),
    leftOut: plan.leftOut.filter((copy) => !added.includes(copy)),
  };
}

/** Whether a COPY may have put a link on the way to a path. A directory is none itself, but may hold some. */
function mayHoldLink({ path: directory, isDirectory }: Destination, path: string): boolean {
  return isWithin(path, directory) && (path !== directory || !isDirectory);
}

function isProfile(path: string): boolean {
  return isWithin(path, cleanPath(PROFILES_DIRECTORY));
}

/** Reads one `created_by`. */
export function verdict(createdBy: string, wanted: string[]): Verdict {
  const copied = copyDestination(createdBy);
  const destinations = ownDestinations(createdBy) ?? (copied && [copied.path]);
  if (destinations === undefined) return 'unknown';
  // COPY to /profiles, or to a file in it, writes there; COPY to / may write anywhere.
  const meets = (destination: string, path: string) =>
    path !== '' && (isWithin(destination, path) || (destination !== '' && isWithin(path, destination)));
  if (destinations.some((destination) => wanted.some((path) => meets(destination, path)))) return 'writes';
  return destinations.includes('') || wanted.includes('') ? 'unknown' : 'writes elsewhere';
}

/** Directories of the function and of what it runs on; the short names are links into /usr. */
const FUNCTION_DIRECTORIES = ['bin', 'etc', 'lib', 'lib64', 'sbin', 'tmp', 'usr', 'var'];

/** Where our own builder wrote to. */
function ownDestinations(createdBy: string): string[] | undefined {
  if (createdBy.startsWith(FUNCTION_LAYER_HISTORY)) return FUNCTION_DIRECTORIES;
  if (createdBy === PROFILES_LAYER_HISTORY) return [cleanPath(PROFILES_DIRECTORY)];
  if (createdBy === PACKAGES_LAYER_HISTORY)
    return [cleanPath(QCOWS_DIRECTORY), parentOf(cleanPath(PACKAGES_FILE))];
  if (createdBy.startsWith(INDEX_LAYER_HISTORY)) return [cleanPath(INDEX_DIRECTORY)];
  const isImage = createdBy.startsWith(IMAGE_LAYER_HISTORY) && /\.qcow2$/.test(createdBy);
  return isImage ? [cleanPath(QCOWS_DIRECTORY)] : undefined;
}

interface Destination {
  path: string;
  /** It is written as a directory. */
  isDirectory: boolean;
}

/** How the classic builder and buildah begin what makes no process. */
const CLASSIC = '/bin/sh -c #(nop) ';

/**
 * The absolute destination of a COPY or ADD; undefined for anything else and for what is not certain. By words, not by a
 * pattern: the text is a stranger's, and long texts are to take no longer than they are.
 */
function copyDestination(createdBy: string): Destination | undefined {
  // The classic form: `/bin/sh -c #(nop) COPY dir:<hash> in /profiles `.
  const isClassic = createdBy.startsWith(CLASSIC);
  const words = (isClassic ? createdBy.slice(CLASSIC.length) : createdBy).split(/\s/).filter(Boolean);
  // BuildKit and kaniko: `COPY profiles /profiles # buildkit`; the JSON form is for paths with blanks.
  if (words.at(-2) === '#' && words.at(-1) === 'buildkit') words.splice(-2);
  const written = words.at(-1);
  const isCopy = words[0] === 'COPY' || words[0] === 'ADD';
  if (!isCopy || words.length < 3 || !written?.startsWith('/')) return undefined;
  const isCertain = isClassic ? words.length > 3 && words.at(-2) === 'in' : !/[["]/.test(createdBy);
  return isCertain ? { path: cleanPath(written), isDirectory: written.endsWith('/') } : undefined;
}

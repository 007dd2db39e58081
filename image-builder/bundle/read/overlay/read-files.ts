// Reads files out of layers, from the top down, no further than needed; again with a longer watch list when links lead
// to places where nobody has looked.

import { BundleError } from '../../bundle-error.ts';
import { type Verification, weakest } from '../verification.ts';
import { type FileNode, type Lookup, OverlayTree } from './merged-tree.ts';
import type { LayerEntry, LayerScan } from './scan-layer.ts';
import { type OverlayQuery, WatchList } from './wanted-paths.ts';

/** Scans one layer; layers are numbered from the top, 0 being the uppermost that counts. */
export type ScanLayer = (layer: number, watch: WatchList) => Promise<LayerScan>;

export interface OverlayFile {
  /** The path that was asked for. */
  path: string;
  /** Where it is after following links. */
  resolvedPath: string;
  size: number;
  mode: number;
  /** Absent when the query did not want it, or when it is too large. */
  content?: Buffer;
  /** The entry that has the data; layers are counted from the top. */
  origin: { layer: number; path: string };
}

export interface OverlayResult {
  /** By the path that was asked for, or found in a directory; absent files are missing. */
  files: Map<string, OverlayFile>;
  /** Names in each directory of the query; undefined where there is no such directory. */
  directories: Map<string, string[] | undefined>;
  /** How many layers were read. */
  layersRead: number;
  /** The weakest of the layers that were used. */
  coverage: Verification;
}

/** Each round follows links one step further; real images need two. */
const ROUND_LIMIT = 24;

/**
 * @param layerCount how many layers count
 * @param exhaustive read all of them, whatever is known before
 * @throws BundleError NOT_A_FILE, and whatever `scan` throws
 */
export async function readOverlay(
  layerCount: number,
  query: OverlayQuery,
  scan: ScanLayer,
  exhaustive: boolean,
): Promise<OverlayResult> {
  const watch = new WatchList(query);
  const scans: { scan: LayerScan; version: number }[] = [];
  for (let round = 0; round < ROUND_LIMIT; round++) {
    const outcome = await readDown(layerCount, query, watch, scans, scan, exhaustive);
    if (outcome) return outcome;
  }
  throw new BundleError('NOT_A_FILE', `links in the image lead through more than ${ROUND_LIMIT} steps`);
}

/** One way down. Undefined when the watch list has grown and a further round is needed. */
async function readDown(
  layerCount: number,
  query: OverlayQuery,
  watch: WatchList,
  scans: { scan: LayerScan; version: number }[],
  scan: ScanLayer,
  exhaustive: boolean,
): Promise<OverlayResult | undefined> {
  for (let depth = 0; depth < layerCount; depth++) {
    if (scans[depth]?.version !== watch.version)
      scans[depth] = { scan: await scan(depth, watch), version: watch.version };
    const isLast = depth === layerCount - 1;
    if (exhaustive && !isLast) continue;
    const used = scans.slice(0, depth + 1).map((entry) => entry.scan);
    const tree = build(used, isLast);
    const answer = resolve(tree, query, watch);
    if (answer === 'grown') return undefined;
    if (answer === 'unknown') continue;
    if (
      used.some(({ links }) => links.filter(({ path, target }) => watch.addAliases(path, target)).length > 0)
    )
      return undefined;
    return {
      ...answer,
      layersRead: used.length,
      coverage: weakest(...used.map(({ coverage }) => coverage)),
    };
  }
  const empty = resolve(new OverlayTree(true), query, watch);
  if (typeof empty === 'string') return undefined;
  return { ...empty, layersRead: 0, coverage: 'full' };
}

function build(scans: LayerScan[], complete: boolean): OverlayTree {
  const tree = new OverlayTree(complete);
  const bottomUp: [number, LayerEntry[]][] = scans.map(({ entries }, index) => [index, entries]);
  for (const [index, entries] of bottomUp.reverse()) tree.apply(index, entries);
  return tree;
}

/** Looks everything up. `unknown`: lower layers decide. `grown`: the watch list has new places. */
function resolve(
  tree: OverlayTree,
  query: OverlayQuery,
  watch: WatchList,
): Pick<OverlayResult, 'files' | 'directories'> | 'unknown' | 'grown' {
  const files: OverlayResult['files'] = new Map();
  const directories: OverlayResult['directories'] = new Map();
  const state = { unknown: false, grown: false };
  const look = (path: string): Lookup => {
    const found = tree.lookup(path, (place) => watch.covers(place));
    if (found.state === 'unknown' || ('certain' in found && !found.certain)) state.unknown = true;
    return found;
  };
  const file = (path: string, wantsContent: boolean) => {
    const found = look(path);
    if (found.state === 'unwatched') state.grown = watch.addFile(found.path) || state.grown;
    if (found.state !== 'file') return;
    // A hard link to a file whose content nobody wanted so far.
    const { content, origin } = found.node;
    if (wantsContent && !content && watch.interest(origin.path) !== 'content') {
      state.grown = watch.addFile(origin.path) || state.grown;
    }
    files.set(path, describe(path, found.path, found.node));
  };
  const readEntries = (directory: OverlayQuery['directories'][number], path: string, names: string[]) => {
    for (const name of names) {
      const child = path === '' ? name : `${path}/${name}`;
      if (directory.list || directory.content(name)) file(child, directory.content(name));
      const found = directory.recursive ? tree.lookup(child, (place) => watch.covers(place)) : undefined;
      // Links to directories are not followed: they could lead in circles.
      if (found?.state === 'directory' && found.path === child) readEntries(directory, child, found.names);
    }
  };
  for (const path of query.files) {
    file(path, true);
    if (tree.lookup(path, () => true).state === 'loop') {
      throw new BundleError('NOT_A_FILE', `/${path} is a loop of symbolic links`);
    }
  }
  for (const path of query.optional ?? []) {
    const found = tree.lookup(path, (place) => watch.covers(place));
    if (found.state === 'file') files.set(path, describe(path, found.path, found.node));
  }
  for (const directory of query.directories) {
    const found = look(directory.path);
    if (found.state === 'unwatched') {
      state.grown = watch.addDirectory({ ...directory, path: found.path }) || state.grown;
    }
    directories.set(directory.path, found.state === 'directory' ? found.names.sort() : undefined);
    if (found.state === 'directory') readEntries(directory, directory.path, found.names);
  }
  if (state.grown) return 'grown';
  return state.unknown ? 'unknown' : { files, directories };
}

function describe(path: string, resolvedPath: string, node: FileNode): OverlayFile {
  const { size, mode, origin, content } = node;
  return { path, resolvedPath, size, mode, origin, ...(content && { content }) };
}

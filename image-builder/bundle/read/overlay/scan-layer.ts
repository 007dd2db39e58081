// One pass over one layer: notes the entries that are watched, with their content where it is wanted.

import { throwIfCancelled } from '../../../base/diagnostics/cancelled.ts';
import { RegistryError } from '../../../oci/http/registry-error.ts';
import type { TarEntry, TarReader } from '../../../oci/tar/reader.ts';
import type { Verification } from '../verification.ts';
import { cleanPath, nameOf, parentOf, walkKey } from './path.ts';
import type { WatchList } from './wanted-paths.ts';

const WHITEOUT_PREFIX = '.wh.';
const OPAQUE_MARKER = '.wh..wh..opq';

/** An entry of a layer (OCI image-spec layer.md), whiteouts told apart. */
export type LayerEntry =
  | { kind: 'file'; path: string; size: number; mode: number; content?: Buffer }
  | { kind: 'directory'; path: string }
  | { kind: 'symlink'; path: string; target: string }
  | { kind: 'hardlink'; path: string; target: string }
  /** Devices and the like. */
  | { kind: 'other'; path: string }
  /** Hides the path of the layers below. */
  | { kind: 'whiteout'; path: string }
  /** Hides everything in the directory of the layers below. */
  | { kind: 'opaque'; path: string };

/** What a pass found. */
export interface LayerScan {
  entries: LayerEntry[];
  /** Symbolic links that are not watched themselves: they may give other names to watched places. */
  links: { path: string; target: string }[];
  /** Whether every byte that was used has been checked, and the whole layer was read. */
  coverage: Verification;
}

/** What all passes of one read may cost. */
export interface ScanBudget {
  /** Largest single file that is held in memory, in bytes. */
  file: number;
  /** Bytes that are left for all such files together. */
  left: number;
  /** Bytes that are left of what layers decompress to. */
  expanded: number;
  /** Entries that are left. */
  entries: number;
  /** Bytes of memory that are left for what is noted of entries. */
  noted: number;
}

/** A sorted run of this length is taken as proof that the layer was written by a sorted walk, without duplicates. */
const SORTED_EVIDENCE = 100;

/**
 * Reads a layer's tar.
 * @param mayStop whether ending early saves enough to be worth an incomplete read; asked again for every entry
 * @throws RegistryError TOO_LARGE when the budget is spent; CancelledError; TarError
 */
export async function scanLayer(
  tar: TarReader,
  watch: WatchList,
  budget: ScanBudget,
  mayStop: () => boolean,
  signal?: AbortSignal,
): Promise<Pick<LayerScan, 'entries' | 'links'> & { stoppedEarly: boolean }> {
  const entries: LayerEntry[] = [];
  const links: LayerScan['links'] = [];
  const order = new WalkOrder(watch.lastKey());
  for (let entry = await tar.next(); entry; entry = await tar.next()) {
    throwIfCancelled(signal);
    spend(budget, 'entries', 1);
    const noted = classify(entry);
    if (!noted) continue;
    const interest = watch.interest(noted.path);
    if (interest !== 'none') {
      spend(budget, 'noted', sizeOf(noted));
      if (noted.kind === 'file' && interest === 'content') await addContent(noted, tar, budget);
      entries.push(noted);
    } else if (noted.kind === 'symlink') {
      spend(budget, 'noted', sizeOf(noted));
      links.push({ path: noted.path, target: noted.target });
    }
    if (order.passed(noted.path) && mayStop()) return { entries, links, stoppedEarly: true };
  }
  return { entries, links, stoppedEarly: false };
}

/** @throws RegistryError TOO_LARGE */
export function spend(budget: ScanBudget, what: 'entries' | 'noted' | 'expanded', amount: number): void {
  budget[what] -= amount;
  if (budget[what] >= 0) return;
  const nouns = { entries: 'entries', noted: 'links and names', expanded: 'bytes when decompressed' };
  throw new RegistryError(
    'TOO_LARGE',
    `the layers of the image have more ${nouns[what]} than any legitimate one`,
    {
      hint: 'It may have been made to keep readers busy, or is not the intended image.',
    },
  );
}

/** What an entry takes in memory, about, without its content. */
export function sizeOf(entry: LayerEntry): number {
  return 100 + entry.path.length + ('target' in entry ? entry.target.length : 0);
}

/** An entry without its content; undefined for the bookkeeping of AUFS. */
export function classify(
  entry: Pick<TarEntry, 'path' | 'type' | 'size' | 'mode' | 'linkName'>,
): LayerEntry | undefined {
  const path = cleanPath(entry.path);
  const name = nameOf(path);
  if (name === OPAQUE_MARKER) return { kind: 'opaque', path: parentOf(path) };
  if (name.startsWith(`${WHITEOUT_PREFIX}${WHITEOUT_PREFIX}`)) return undefined;
  if (name.startsWith(WHITEOUT_PREFIX)) {
    const hidden = name.slice(WHITEOUT_PREFIX.length);
    if (hidden === '' || hidden === '.' || hidden === '..') return undefined;
    return { kind: 'whiteout', path: cleanPath(`${parentOf(path)}/${hidden}`) };
  }
  switch (entry.type) {
    case 'file':
      return { kind: 'file', path, size: entry.size, mode: entry.mode };
    case 'directory':
      return { kind: 'directory', path };
    case 'symlink':
      return { kind: 'symlink', path, target: entry.linkName };
    case 'hardlink':
      return { kind: 'hardlink', path, target: cleanPath(entry.linkName) };
    case 'other':
      return { kind: 'other', path };
  }
}

async function addContent(
  entry: LayerEntry & { kind: 'file' },
  tar: TarReader,
  budget: ScanBudget,
): Promise<void> {
  // Too large is not an error yet: an upper layer may hide this file.
  if (entry.size > budget.file || entry.size > budget.left) return;
  budget.left -= entry.size;
  entry.content = await tar.content();
}

/** Tells when a layer whose entries come in sorted order is past everything that is watched. */
class WalkOrder {
  readonly #lastKey: string;
  #previous = '';
  #sorted = true;
  #count = 0;

  constructor(lastKey: string) {
    this.#lastKey = lastKey;
  }

  passed(path: string): boolean {
    if (!this.#sorted) return false;
    const key = walkKey(path);
    this.#sorted = this.#count === 0 || key > this.#previous;
    this.#previous = key;
    this.#count++;
    return this.#sorted && this.#count >= SORTED_EVIDENCE && key > this.#lastKey;
  }
}

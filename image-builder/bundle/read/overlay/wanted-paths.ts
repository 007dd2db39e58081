// What the reader looks for in the layers: files and directories, and everything on the way to them.

import { isWithin, linkDestination, parentOf, walkKey } from './path.ts';
import { Work } from './work.ts';

/** What is wanted of an image. Paths as {@link cleanPath} gives them. */
export interface OverlayQuery {
  /** Files whose content is wanted. */
  files: string[];
  /** Files that are taken when they turn up, but not searched for in lower layers. */
  optional?: string[];
  /**
   * Directories whose entries are wanted; content of those for which `content` says so. With `list`, the result has
   * every file in them, content or not.
   */
  directories: { path: string; recursive?: boolean; list?: boolean; content: (name: string) => boolean }[];
}

/** How much an entry of a layer matters. */
export type Interest = 'none' | 'structure' | 'content';

/** Grows while links lead to new places. */
export class WatchList {
  readonly #files = new Set<string>();
  readonly #ancestors = new Set<string>();
  readonly #directories = new Map<string, OverlayQuery['directories'][number]>();
  readonly #work = new Work();
  /** Counts additions: a scan made with an older version may lack something. */
  version = 0;

  constructor(query: OverlayQuery) {
    for (const path of [...query.files, ...(query.optional ?? [])]) this.addFile(path);
    for (const directory of query.directories) this.addDirectory(directory);
  }

  addFile(path: string): boolean {
    if (this.#files.has(path)) return false;
    this.#files.add(path);
    this.#addAncestors(path);
    this.version++;
    return true;
  }

  addDirectory(directory: OverlayQuery['directories'][number]): boolean {
    if (this.#directories.has(directory.path)) return false;
    this.#directories.set(directory.path, directory);
    this.#addAncestors(directory.path);
    this.#ancestors.add(directory.path);
    this.version++;
    return true;
  }

  interest(path: string): Interest {
    if (this.#files.has(path)) return 'content';
    for (const directory of this.#directories.values()) {
      if (path === directory.path || !isWithin(path, directory.path)) continue;
      const name = path.slice(directory.path === '' ? 0 : directory.path.length + 1);
      if (name.includes('/') && !directory.recursive) continue;
      return directory.content(name) ? 'content' : 'structure';
    }
    return path === '' || this.#ancestors.has(path) ? 'structure' : 'none';
  }

  /** Whether scans with this list would have met an entry at the path. */
  covers(path: string): boolean {
    return this.interest(path) !== 'none';
  }

  /** No watched path sorts behind this key in a sorted walk. */
  lastKey(): string {
    const last = (path: string) => `${walkKey(path)}\0\u{10ffff}`;
    const keys = [...[...this.#files].map(last), ...[...this.#directories.keys()].map(last)];
    return keys.reduce((most, key) => (key > most ? key : most), '');
  }

  /**
   * Other names that a symbolic link gives to watched places: entries of upper layers under these names are written
   * through the link.
   */
  addAliases(link: string, target: string): boolean {
    const destination = linkDestination(link, target);
    if (destination === '' || isWithin(link, destination) || !this.#isOnTheWay(destination)) return false;
    let added = false;
    this.#work.spend(this.#files.size + this.#directories.size);
    for (const path of [...this.#files]) {
      if (isWithin(path, destination)) added = this.addFile(link + path.slice(destination.length)) || added;
    }
    for (const directory of [...this.#directories.values()]) {
      if (!isWithin(directory.path, destination)) continue;
      added =
        this.addDirectory({ ...directory, path: link + directory.path.slice(destination.length) }) || added;
    }
    return added;
  }

  /** Whether something that is watched is there, or below. */
  #isOnTheWay(path: string): boolean {
    return this.#ancestors.has(path) || this.#files.has(path) || this.#directories.has(path);
  }

  #addAncestors(path: string): void {
    for (let parent = parentOf(path); parent !== ''; parent = parentOf(parent)) this.#ancestors.add(parent);
  }
}

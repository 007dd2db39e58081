// The file system that layers make when they are laid over each other, as far as it is watched; and what is not known of
// it while lower layers have not been read. Semantics: OCI image-spec layer.md, "Applying Changesets", as umoci and
// containerd carry it out: parents that are symbolic links are followed (inside the image), anything but a directory over
// a directory replaces what was there, and whiteouts never touch their own layer.

import { cleanPath, nameOf, parentOf } from './path.ts';
import type { LayerEntry } from './scan-layer.ts';
import { Work } from './work.ts';

/** Linux follows 40 links at most. */
const LINK_LIMIT = 40;

export interface FileNode {
  kind: 'file';
  layer: number;
  size: number;
  mode: number;
  /** Absent when not wanted, or too large. */
  content?: Buffer;
  /** The entry that has the data; another one than the file's own for hard links. */
  origin: { layer: number; path: string };
}

interface DirectoryNode {
  kind: 'directory';
  layer: number;
  /** An entry of its own says that it is a directory; otherwise it follows from a path below it. */
  explicit: boolean;
  /** Nothing of layers that have not been read shows through. */
  complete: boolean;
  children: Map<string, Node>;
}

type Node =
  | FileNode
  | DirectoryNode
  | { kind: 'symlink'; layer: number; target: string }
  /** A hard link whose target was not there when it was made. */
  | { kind: 'dangling'; layer: number; target: string }
  | { kind: 'other'; layer: number }
  /** Known not to exist, whatever unread layers hold. */
  | { kind: 'absent'; layer: number };

/** What is known of a path. */
export type Lookup =
  | { state: 'file'; node: FileNode; path: string; certain: boolean }
  | { state: 'directory'; names: string[]; path: string; certain: boolean }
  | { state: 'other'; certain: boolean }
  | { state: 'absent'; certain: boolean }
  /** Layers that have not been read decide. */
  | { state: 'unknown' }
  /** A link leads here, where nobody has looked. */
  | { state: 'unwatched'; path: string }
  | { state: 'loop' };

/** Layers are applied bottom up. */
export class OverlayTree {
  readonly #root: DirectoryNode;
  readonly #work = new Work();

  /** @param complete whether the layers to be applied are all there are */
  constructor(complete: boolean) {
    this.#root = { kind: 'directory', layer: -1, explicit: true, complete, children: new Map() };
  }

  apply(layer: number, entries: LayerEntry[]): void {
    for (const entry of entries) this.#applyEntry(layer, entry);
  }

  /** @param covers whether a path was watched when the layers were read */
  lookup(path: string, covers: (path: string) => boolean): Lookup {
    let certain = true;
    let links = 0;
    const remaining = new Way(cleanPath(path));
    let directories: DirectoryNode[] = [this.#root];
    // Their paths.
    let places = [''];
    for (;;) {
      const directory = directories.at(-1) as DirectoryNode;
      const place = places.at(-1) as string;
      const name = remaining.next();
      if (name === undefined) {
        this.#work.spend(directory.children.size);
        return {
          state: 'directory',
          path: place,
          certain: certain && directory.complete,
          names: present(directory),
        };
      }
      if (name === '..') {
        if (directories.length > 1) {
          directories.pop();
          places.pop();
        }
        continue;
      }
      const here = place === '' ? name : `${place}/${name}`;
      this.#work.spend(1 + here.length / 32);
      if (!covers(here)) return { state: 'unwatched', path: [here, ...remaining.rest()].join('/') };
      const node = directory.children.get(name);
      if (!node) return directory.complete ? { state: 'absent', certain } : { state: 'unknown' };
      if (node.kind === 'directory') {
        certain &&= node.explicit || node.complete;
        directories.push(node);
        places.push(here);
      } else if (node.kind === 'symlink') {
        if (++links > LINK_LIMIT) return { state: 'loop' };
        if (node.target.startsWith('/')) [directories, places] = [[this.#root], ['']];
        this.#work.spend(node.target.length / 2);
        remaining.leadBy(node.target);
      } else if (node.kind === 'absent' || remaining.length > 0) return { state: 'absent', certain };
      else if (node.kind === 'file') return { state: 'file', node, path: here, certain };
      else if (node.kind === 'dangling')
        return covers(node.target) ? this.#danglingState(certain) : { state: 'unwatched', path: node.target };
      else return { state: 'other', certain };
    }
  }

  #danglingState(certain: boolean): Lookup {
    return this.#root.complete ? { state: 'absent', certain } : { state: 'unknown' };
  }

  #applyEntry(layer: number, entry: LayerEntry): void {
    if (entry.kind === 'opaque') {
      const directory = this.#walk(entry.path, { layer, marker: true });
      if (directory) hideLower(directory, layer, this.#work);
      if (directory) directory.complete = true;
      return;
    }
    if (entry.path === '') return;
    const name = nameOf(entry.path);
    if (entry.kind === 'whiteout') {
      const directory = this.#walk(parentOf(entry.path), { layer, marker: true });
      if (directory) whiteOut(directory, name, layer, this.#work);
      return;
    }
    const parent = this.#walk(parentOf(entry.path), { layer, marker: false }) ?? this.#root;
    const existing = parent.children.get(name);
    if (entry.kind === 'directory') putDirectory(parent, name, existing, layer);
    else parent.children.set(name, this.#node(entry, layer));
  }

  #node(entry: Exclude<LayerEntry, { kind: 'whiteout' | 'opaque' | 'directory' }>, layer: number): Node {
    if (entry.kind === 'file') {
      const { size, mode, content } = entry;
      return {
        kind: 'file',
        layer,
        size,
        mode,
        origin: { layer, path: entry.path },
        ...(content && { content }),
      };
    }
    if (entry.kind === 'symlink') return { kind: 'symlink', layer, target: entry.target };
    if (entry.kind === 'other') return { kind: 'other', layer };
    // The link has what its target is now, whatever becomes of the target later.
    const target = this.#find(entry.target);
    if (target?.kind === 'file' || target?.kind === 'symlink' || target?.kind === 'other')
      return { ...target, layer };
    return { kind: 'dangling', layer, target: entry.target };
  }

  /** The node at a path; links on the way are followed, the last one is not. */
  #find(path: string): Node | undefined {
    const parent = this.#walk(parentOf(path), undefined);
    return parent?.children.get(nameOf(path));
  }

  /**
   * Walks to a directory. With `create`, whatever is missing or in the way becomes a directory of that layer; for a
   * whiteout (`marker`) only what is not known yet: it makes nothing, and hides nothing that is not a directory.
   */
  #walk(path: string, create: { layer: number; marker: boolean } | undefined): DirectoryNode | undefined {
    const remaining = new Way(path);
    let directories: DirectoryNode[] = [this.#root];
    let links = 0;
    for (let name = remaining.next(); name !== undefined; name = remaining.next()) {
      this.#work.spend(1);
      const directory = directories.at(-1) as DirectoryNode;
      if (name === '..') {
        if (directories.length > 1) directories.pop();
        continue;
      }
      const node = directory.children.get(name);
      if (node?.kind === 'directory') directories.push(node);
      else if (node?.kind === 'symlink' && links < LINK_LIMIT) {
        links++;
        if (node.target.startsWith('/')) directories = [this.#root];
        this.#work.spend(node.target.length / 2);
        remaining.leadBy(node.target);
      } else if (create === undefined || (create.marker && (node || directory.complete))) return undefined;
      else {
        const made = newDirectory(create.layer, false, node !== undefined || directory.complete);
        directory.children.set(name, made);
        directories.push(made);
      }
    }
    return directories.at(-1);
  }
}

/** The names that are still to be walked; links put their own before them. */
class Way {
  /** The next one last: taking from the front of a long list takes time that grows with it. */
  readonly #names: string[];

  constructor(path: string) {
    this.#names = path.split('/').filter(Boolean).reverse();
  }

  get length(): number {
    return this.#names.length;
  }

  next(): string | undefined {
    return this.#names.pop();
  }

  rest(): string[] {
    return this.#names.toReversed();
  }

  leadBy(target: string): void {
    const names = target.split('/').filter((part) => part !== '' && part !== '.');
    for (const name of names.reverse()) this.#names.push(name);
  }
}

function newDirectory(layer: number, explicit: boolean, complete: boolean): DirectoryNode {
  return { kind: 'directory', layer, explicit, complete, children: new Map() };
}

/** A directory over a directory keeps what is in it; over anything else it starts empty. */
function putDirectory(parent: DirectoryNode, name: string, existing: Node | undefined, layer: number): void {
  if (existing?.kind === 'directory') {
    existing.layer = layer;
    existing.explicit = true;
  } else parent.children.set(name, newDirectory(layer, true, existing !== undefined || parent.complete));
}

function whiteOut(parent: DirectoryNode, name: string, layer: number, work: Work): void {
  const existing = parent.children.get(name);
  // What this layer itself put there stays, but nothing below shows through.
  if (existing?.kind === 'directory' && (existing.layer === layer || hasOwn(existing, layer, work))) {
    hideLower(existing, layer, work);
    existing.complete = true;
  } else if (!existing || existing.layer !== layer) parent.children.set(name, { kind: 'absent', layer });
}

/** Removes what lower layers put into a directory. */
function hideLower(directory: DirectoryNode, layer: number, work: Work): void {
  for (const [name, child] of directory.children) {
    work.spend(1);
    if (child.kind === 'directory' && (child.layer === layer || hasOwn(child, layer, work))) {
      hideLower(child, layer, work);
      child.complete = true;
    } else if (child.layer !== layer) directory.children.delete(name);
  }
}

function hasOwn(directory: DirectoryNode, layer: number, work: Work): boolean {
  for (const child of directory.children.values()) {
    work.spend(1);
    if (child.layer === layer || (child.kind === 'directory' && hasOwn(child, layer, work))) return true;
  }
  return false;
}

function present(directory: DirectoryNode): string[] {
  return [...directory.children].filter(([, node]) => node.kind !== 'absent').map(([name]) => name);
}

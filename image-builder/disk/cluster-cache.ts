// Compressed clusters of earlier images, by what is in them: most clusters of an image are those of the image before it, and the bytes
// that a version of qemu-img makes of a cluster depend on nothing else. The images themselves are kept, by links to the files of the store.
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { keepLastUsed, linkOrCopy, makeEntry } from '../base/files/kept-entries.ts';
import type { IndexedCluster } from '../qcow2/block-index.ts';
import type { HashedCluster } from '../qcow2/hash-disk.ts';
import { MIB } from './size.ts';

/** How many images are kept. */
const KEPT = 4;
const IMAGE = 'disk.qcow2';
const LIST = 'clusters.json';
/** Bytes of a compressed cluster: one that does not get smaller is not compressed. */
const LONGEST = MIB;
const NAME = /^([0-9a-f]{64})-[0-9a-f]{64}$/;

/** Where it is, and for which compressor. */
export interface ClusterCachePlace {
  /** Directory that outlives the build. */
  directory: string;
  /** What decides the compressed bytes beside the content: hex hash of the versions of the tools. */
  madeBy: string;
}

/** A compressed cluster in an earlier image. */
export interface KeptCluster {
  /** The image. */
  path: string;
  offset: number;
  length: number;
  /** Of the compressed bytes. */
  sha256: Buffer;
}

/** Content, offset, length, hash of the compressed bytes; hashes in hex. */
type ListItem = [string, number, number, string];

/** Clusters that a compressor has made before. */
export class ClusterCache {
  readonly #place: ClusterCachePlace;
  readonly #clusters = new Map<string, KeptCluster>();

  private constructor(place: ClusterCachePlace) {
    this.#place = place;
  }

  /** Reads the lists; one that cannot be read counts as not there. */
  static async open(place: ClusterCachePlace): Promise<ClusterCache> {
    const cache = new ClusterCache(place);
    for (const name of await readdir(place.directory).catch(() => [])) {
      if (NAME.exec(name)?.[1] !== place.madeBy) continue;
      const path = join(place.directory, name, IMAGE);
      for (const [content, offset, length, sha256] of await readList(join(place.directory, name, LIST)))
        cache.#clusters.set(content, { path, offset, length, sha256: Buffer.from(sha256, 'hex') });
    }
    return cache;
  }

  get isEmpty(): boolean {
    return this.#clusters.size === 0;
  }

  /** The compressed cluster of that content. */
  find({ sha256 }: HashedCluster): KeptCluster | undefined {
    return this.#clusters.get(sha256.toString('hex'));
  }

  /** Forgets the image that a cluster was in: it is damaged. */
  async forget({ path }: KeptCluster): Promise<void> {
    for (const [content, cluster] of this.#clusters)
      if (cluster.path === path) this.#clusters.delete(content);
    await rm(join(path, '..'), { recursive: true, force: true });
  }

  /**
   * Keeps an image for later ones.
   * @param image which nobody changes any more
   */
  async keep(
    image: string,
    hashes: readonly HashedCluster[],
    clusters: readonly IndexedCluster[],
  ): Promise<void> {
    const { directory, madeBy } = this.#place;
    const contents = new Map(hashes.map(({ index, sha256 }) => [index, sha256.toString('hex')]));
    const list = clusters.flatMap(({ index, offset, length, compressed, sha256 }): ListItem[] => {
      const content = contents.get(index);
      return compressed && content !== undefined ? [[content, offset, length, sha256.toString('hex')]] : [];
    });
    const text = JSON.stringify(list);
    const entry = join(directory, `${madeBy}-${createHash('sha256').update(text).digest('hex')}`);
    await mkdir(directory, { recursive: true });
    // What is there may have been damaged.
    await rm(entry, { recursive: true, force: true });
    await makeEntry(entry, async (partial) => {
      await mkdir(partial);
      await linkOrCopy(image, join(partial, IMAGE));
      await writeFile(join(partial, LIST), text);
    });
    await utimes(entry, new Date(), new Date()).catch(() => {});
    await keepLastUsed(directory, NAME, KEPT);
  }
}

async function readList(path: string): Promise<ListItem[]> {
  try {
    const list: unknown = JSON.parse(await readFile(path, 'utf8'));
    return Array.isArray(list) ? list.filter(isListItem) : [];
  } catch {
    return [];
  }
}

const isListItem = (item: unknown): item is ListItem =>
  Array.isArray(item) &&
  item.length === 4 &&
  [item[0], item[3]].every((text) => typeof text === 'string') &&
  [item[1], item[2]].every((number) => Number.isSafeInteger(number) && number >= 0) &&
  item[2] <= LONGEST;

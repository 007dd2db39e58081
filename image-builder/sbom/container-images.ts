// The container images that are in a tree, by what their engines and the disk's own layout say of them.
import { isRecord, recordsIn } from '../base/record.ts';

/** A container image on the disk. */
export interface ContainerImage {
  digest: string;
  /** Sorted. */
  names: string[];
}

/** Who has images there: what its JSON looks like. */
export type ImageStore = 'containers' | 'docker' | 'containerd' | 'carried';

/** Images of several stores, each of them once. */
export class ContainerImages {
  readonly #names = new Map<string, Set<string>>();

  /**
   * @param content JSON as it lies in the store; what is malformed lists nothing
   * @param name of a file that is named by its digest
   */
  add(store: ImageStore, content: string, name = ''): void {
    const value = parsed(content);
    if (store === 'containers') this.#addContainers(value);
    else if (store === 'docker') this.#addDocker(value);
    else if (store === 'carried') this.#addCarried(value);
    // Of containerd's content the manifests.
    else if (isRecord(value) && Array.isArray(value.layers) && 'config' in value)
      this.#note(`sha256:${name}`);
  }

  /** Sorted by digest. */
  list(): ContainerImage[] {
    return [...this.#names]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([digest, names]) => {
        // The name without a tag tells nothing beside the one with it.
        const bare = new Set([...names].map((name) => name.slice(0, Math.max(name.lastIndexOf(':'), 0))));
        return { digest, names: [...names].filter((name) => !bare.has(name)).sort() };
      });
  }

  /** `images.json` of CRI-O and podman. */
  #addContainers(value: unknown): void {
    for (const { digest, names } of recordsIn(value)) this.#note(digest, Array.isArray(names) ? names : []);
  }

  /** `repositories.json`: tags and digests of each repository. */
  #addDocker(value: unknown): void {
    const repositories = isRecord(value) && isRecord(value.Repositories) ? value.Repositories : {};
    for (const tags of Object.values(repositories))
      for (const reference of isRecord(tags) ? Object.keys(tags) : []) {
        const [name = '', digest] = reference.split('@');
        this.#note(digest, [name]);
      }
  }

  /** `index.json` of the layout that the disk carries for containerd. */
  #addCarried(value: unknown): void {
    for (const { digest, annotations } of recordsIn(isRecord(value) ? value.manifests : undefined)) {
      const name = isRecord(annotations) ? annotations['org.opencontainers.image.ref.name'] : undefined;
      if (typeof name === 'string') this.#note(digest, [name.split('@')[0]]);
    }
  }

  #note(digest: unknown, names: readonly unknown[] = []): void {
    if (typeof digest !== 'string' || !/^sha256:[0-9a-f]{64}$/.test(digest)) return;
    const known = this.#names.get(digest) ?? new Set();
    this.#names.set(digest, known);
    for (const name of names) if (typeof name === 'string') known.add(name);
  }
}

function parsed(content: string): unknown {
  try {
    return JSON.parse(content);
  } catch {
    return undefined;
  }
}

// Images as `docker save` writes them (docker-archive:), or a local engine streams them (docker-daemon:)
// (moby image/spec v1.2, "Combined Image JSON + Filesystem Changeset Format").

import { decompress, expansionLimit } from '../codec/compression.ts';
import { type Digest, digestOf } from '../digest.ts';
import { RegistryError } from '../http/registry-error.ts';
import type { ByteRange, ImageSource, Root } from '../image-source.ts';
import { MANIFEST_LIMIT_BYTES, parseConfig } from '../manifest.ts';
import { DOCKER_CONFIG, DOCKER_LAYER, DOCKER_MANIFEST } from '../media-types.ts';
import type { Descriptor, Manifest } from '../model.ts';
import { type FileReference, formatReference, parseReference } from '../reference.ts';
import { type Files, openArchiveFiles, readSmall } from './named-files.ts';

/** Opens `docker-archive:` references. */
export async function openDockerArchive(reference: FileReference): Promise<ImageSource> {
  return new DockerArchiveSource(
    await openArchiveFiles(reference.path),
    formatReference(reference),
    reference,
  );
}

interface ArchivedImage {
  Config: string;
  RepoTags: string[];
  Layers: string[];
}

/**
 * An archive has no manifest: one is made up from the config (whose digest is the image ID) and the layers, which are
 * uncompressed and have their diff IDs as digests. So everything that is read can still be checked.
 */
export class DockerArchiveSource implements ImageSource {
  readonly name: string;
  readonly warnings: string[] = [];
  readonly #files: Files;
  readonly #wanted: { tag?: string; digest?: Digest };
  #loaded: Promise<{ root: Root; paths: Map<Digest, string> }> | undefined;
  readonly range?: NonNullable<ImageSource['range']>;

  constructor(files: Files, name: string, wanted: { tag?: string; digest?: Digest }) {
    this.#files = files;
    this.#wanted = wanted;
    this.name = name;
    const { range } = files;
    if (range)
      this.range = async (descriptor: Descriptor, part: ByteRange) =>
        range(await this.#path(descriptor), part);
  }

  get cost() {
    return this.#files.cost;
  }

  async currentDigest(): Promise<Digest> {
    return (await this.root()).descriptor.digest;
  }

  async root(): Promise<Root> {
    return (await this.#load()).root;
  }

  async manifest(): Promise<Buffer> {
    return (await this.root()).content;
  }

  async *blob(descriptor: Descriptor): AsyncGenerator<Uint8Array> {
    const path = await this.#path(descriptor);
    const size = (await this.#files.size(path)) ?? 0;
    // Some tools compress the layers inside; the diff ID is always that of the tar.
    yield* decompress(this.#files.stream(path), expansionLimit(size), `layer ${path} of ${this.name}`);
  }

  async close(): Promise<void> {
    await this.#files.close();
  }

  async #path(descriptor: Descriptor): Promise<string> {
    const path = (await this.#load()).paths.get(descriptor.digest);
    if (path === undefined) throw new RegistryError('NOT_FOUND', `${this.name} has no ${descriptor.digest}`);
    return path;
  }

  #load(): Promise<{ root: Root; paths: Map<Digest, string> }> {
    this.#loaded ??= this.#read();
    return this.#loaded;
  }

  async #read(): Promise<{ root: Root; paths: Map<Digest, string> }> {
    const image = this.#choose(await this.#images());
    const config = await readSmall(this.#files, image.Config, MANIFEST_LIMIT_BYTES, this.name);
    const { diff_ids: diffIds } = parseConfig(config, `the config of ${this.name}`).rootfs;
    if (diffIds.length !== image.Layers.length) {
      throw new RegistryError(
        'INVALID_MANIFEST',
        `${this.name} has ${image.Layers.length} layers, its config ${diffIds.length}`,
      );
    }
    const digest = digestOf(config);
    if (this.#wanted.digest !== undefined && this.#wanted.digest !== digest) {
      throw new RegistryError(
        'DIGEST_MISMATCH',
        `${this.name} contains the image ${digest}, not the one named`,
        {
          hint: 'Archives and engines identify images by the digest of their config, the image ID.',
        },
      );
    }
    const paths = new Map<Digest, string>([[digest, image.Config]]);
    const layers: Descriptor[] = [];
    for (const [index, diffId] of diffIds.entries()) {
      const path = image.Layers[index] ?? '';
      const size = await this.#files.size(path);
      if (size === undefined) throw new RegistryError('NOT_FOUND', `${this.name} has no layer ${path}`);
      paths.set(diffId, path);
      layers.push({ mediaType: DOCKER_LAYER, digest: diffId, size });
    }
    const manifest: Manifest = {
      schemaVersion: 2,
      mediaType: DOCKER_MANIFEST,
      config: { mediaType: DOCKER_CONFIG, digest, size: config.length },
      layers,
    };
    const descriptor: Descriptor = { mediaType: DOCKER_MANIFEST, digest, size: config.length };
    return { root: { descriptor, content: Buffer.from(JSON.stringify(manifest)), synthesized: true }, paths };
  }

  async #images(): Promise<ArchivedImage[]> {
    if ((await this.#files.size('manifest.json')) === undefined) {
      throw new RegistryError('NOT_FOUND', `${this.name} is not a Docker archive: it has no manifest.json`, {
        hint: 'Check the path; for an archive of an OCI layout use oci-archive:FILE.',
      });
    }
    const content = await readSmall(this.#files, 'manifest.json', MANIFEST_LIMIT_BYTES, this.name);
    let list: unknown;
    try {
      list = JSON.parse(content.toString('utf8'));
    } catch (cause) {
      throw new RegistryError('INVALID_MANIFEST', `manifest.json of ${this.name} is not JSON`, { cause });
    }
    if (!Array.isArray(list))
      throw new RegistryError('INVALID_MANIFEST', `manifest.json of ${this.name} is not a list`);
    return list.map((entry) => {
      const { Config, Layers, RepoTags } = (entry ?? {}) as Record<string, unknown>;
      if (typeof Config !== 'string' || !isStrings(Layers)) {
        throw new RegistryError(
          'INVALID_MANIFEST',
          `manifest.json of ${this.name} has an entry without Config or Layers`,
        );
      }
      return { Config, Layers, RepoTags: isStrings(RepoTags) ? RepoTags : [] };
    });
  }

  #choose(images: ArchivedImage[]): ArchivedImage {
    const { tag, digest } = this.#wanted;
    const wanted = tag === undefined ? undefined : canonicalTag(tag);
    const chosen = images.filter(
      (image) =>
        (wanted === undefined || image.RepoTags.some((name) => canonicalTag(name) === wanted)) &&
        // The config is named after its digest by docker and skopeo alike.
        (digest === undefined || isConfigOf(image.Config, digest) || images.length === 1),
    );
    if (chosen.length === 1 && chosen[0]) return chosen[0];
    const tags = images.flatMap((image) => image.RepoTags);
    const hint =
      tags.length > 0
        ? `It has ${tags.slice(0, 20).join(', ')}.`
        : `It has ${images.length} images without names.`;
    if (chosen.length === 0)
      throw new RegistryError('NOT_FOUND', `${this.name}: the archive has no such image`, { hint });
    throw new RegistryError(
      'INVALID_REFERENCE',
      `${this.name} is ambiguous: the archive has ${images.length} images`,
      {
        hint: `${hint} Add :repository:tag to the reference.`,
      },
    );
  }
}

function isConfigOf(path: string, digest: Digest): boolean {
  const hex = digest.slice(digest.indexOf(':') + 1);
  return path.includes(hex);
}

/** `busybox`, `busybox:latest` and `docker.io/library/busybox:latest` are the same name. */
function canonicalTag(name: string): string {
  try {
    return formatReference(parseReference(name));
  } catch {
    return name;
  }
}

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

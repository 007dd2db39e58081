// An image as it may be believed: everything that comes from a source is checked here against its digest and size.

import { throwIfCancelled } from '../base/diagnostics/cancelled.ts';
import { decompress, expansionLimit } from './codec/compression.ts';
import { checkContent, checkedStream, type Digest } from './digest.ts';
import { RegistryError } from './http/registry-error.ts';
import type { ImageSource, Root } from './image-source.ts';
import { MANIFEST_LIMIT_BYTES, parseConfig, parseManifest } from './manifest.ts';
import { layerCompression } from './media-types.ts';
import type { Descriptor, ImageConfig, Manifest, Platform } from './model.ts';
import { choosePlatform, hostPlatform } from './platform.ts';

/** Indexes in indexes beyond this are a mistake, or malice. */
const NESTING_LIMIT = 4;

/** Remembers content by digest between runs. */
export interface ContentCache {
  /** Verified content, or undefined. */
  get(digest: Digest): Promise<Buffer | undefined>;
  put(digest: Digest, content: Buffer): Promise<void>;
}

export interface ImageOptions {
  /** Default: linux on this machine's architecture, or whatever single image there is. */
  platform?: Platform;
  cache?: ContentCache;
  /** Ends reading, of local content as well. */
  signal?: AbortSignal;
}

/** An image whose manifest has been read and checked. */
export class Image {
  /** The digest that the reference stands for: of the index if there is one. What to pin. */
  readonly digest: Digest;
  readonly manifest: Manifest;
  readonly source: ImageSource;
  /** See {@link Root.synthesized}. */
  readonly synthesized: boolean;
  /** Digests of everything that the index names, when the reference stands for one. */
  readonly members: ReadonlySet<Digest>;
  readonly signal: AbortSignal | undefined;
  readonly #cache: ContentCache | undefined;
  #config: Promise<ImageConfig> | undefined;

  private constructor(
    source: ImageSource,
    root: Root,
    manifest: Manifest,
    { cache, signal }: ImageOptions,
    members: ReadonlySet<Digest>,
  ) {
    this.source = source;
    this.members = members;
    this.digest = root.descriptor.digest;
    this.synthesized = root.synthesized === true;
    this.manifest = manifest;
    this.signal = signal;
    this.#cache = cache;
  }

  /**
   * Reads what the source's reference names, down to one manifest.
   * @throws RegistryError
   */
  static async open(source: ImageSource, options: ImageOptions = {}): Promise<Image> {
    const root = await source.root();
    if (!root.synthesized) checkContent(root.content, root.descriptor, `the manifest of ${source.name}`);
    await options.cache?.put(root.descriptor.digest, root.content);
    return Image.from(source, root, options);
  }

  /** An image whose root is known already (from the cache). */
  static async from(source: ImageSource, root: Root, options: ImageOptions): Promise<Image> {
    const wanted = options.platform ?? hostPlatform();
    let document = parseManifest(root.content, root.descriptor.mediaType, `the manifest of ${source.name}`);
    const members = new Set('manifests' in document ? document.manifests.map(({ digest }) => digest) : []);
    for (let depth = 0; 'manifests' in document; depth++) {
      if (depth >= NESTING_LIMIT)
        throw new RegistryError(
          'INVALID_MANIFEST',
          `${source.name}: indexes are nested more than ${NESTING_LIMIT} deep`,
        );
      const chosen = choosePlatform(document, wanted, options.platform !== undefined, source.name);
      const content = await readManifest(source, chosen, options.cache);
      document = parseManifest(content, chosen.mediaType, `the manifest ${chosen.digest}`);
    }
    return new Image(source, root, document, options, members);
  }

  /** The same image with its blobs from somewhere else. */
  readingFrom(source: ImageSource): Image {
    const root: Root = {
      descriptor: { mediaType: '', digest: this.digest, size: 0 },
      content: Buffer.alloc(0),
      ...(this.synthesized && { synthesized: true }),
    };
    const options = {
      ...(this.#cache && { cache: this.#cache }),
      ...(this.signal && { signal: this.signal }),
    };
    return new Image(source, root, this.manifest, options, this.members);
  }

  /** The image's config, read once. @throws RegistryError */
  config(): Promise<ImageConfig> {
    const descriptor = this.manifest.config;
    const what = `the config of ${this.source.name}`;
    this.#config ??= this.content(descriptor, MANIFEST_LIMIT_BYTES, what).then((content) =>
      parseConfig(content, what),
    );
    return this.#config;
  }

  /**
   * A whole small blob, checked, by way of the cache.
   * @param limit refused above this size, in bytes
   */
  async content(descriptor: Descriptor, limit: number, what: string): Promise<Buffer> {
    if (descriptor.size > limit)
      throw new RegistryError('TOO_LARGE', `${what} has ${descriptor.size} bytes, more than ${limit}`);
    const cached = await this.#cache?.get(descriptor.digest);
    if (cached) return cached;
    const parts: Uint8Array[] = [];
    for await (const part of this.checked(descriptor, what, limit)) parts.push(Buffer.from(part));
    const content = Buffer.concat(parts);
    await this.#cache?.put(descriptor.digest, content);
    return content;
  }

  /** A blob as it is stored, checked at its end: nothing of it may be believed before. */
  checked(
    descriptor: Descriptor,
    what: string,
    limit = Number.POSITIVE_INFINITY,
  ): AsyncGenerator<Uint8Array> {
    const promised = this.synthesized ? { digest: descriptor.digest } : descriptor;
    return checkedStream(limited(this.source.blob(descriptor), limit, what, this.signal), promised, what);
  }

  /** Opens a layer to be read as a tar from its beginning. @throws RegistryError UNSUPPORTED_MEDIA_TYPE */
  layer(descriptor: Descriptor): OpenLayer {
    layerCompression(descriptor.mediaType);
    const what = `layer ${descriptor.digest}`;
    return new OpenLayer(this.checked(descriptor, what), expansionLimit(descriptor.size), what);
  }
}

/** A layer that is being read. It may be believed after {@link OpenLayer.finish} only. */
export class OpenLayer {
  /** The uncompressed tar. */
  readonly tar: AsyncGenerator<Uint8Array>;
  readonly #blob: AsyncGenerator<Uint8Array>;

  /** @param blob the stored bytes; throws at its end when they are not what was promised */
  constructor(blob: AsyncGenerator<Uint8Array>, limit: number, what: string) {
    this.#blob = blob;
    this.tar = decompress(this.#withoutClosing(), limit, what);
  }

  /** Reads what is left, so that the digest is checked. Decompressors may stop before the end of the blob. */
  async finish(): Promise<void> {
    for await (const _ of this.tar);
    for await (const _ of this.#blob);
  }

  /** Gives up; nothing of it may be believed. */
  async close(): Promise<void> {
    await this.tar.return(undefined);
    await this.#blob.return(undefined);
  }

  async *#withoutClosing(): AsyncGenerator<Uint8Array> {
    for (let next = await this.#blob.next(); !next.done; next = await this.#blob.next()) yield next.value;
  }
}

async function readManifest(
  source: ImageSource,
  descriptor: Descriptor,
  cache: ContentCache | undefined,
): Promise<Buffer> {
  if (descriptor.size > MANIFEST_LIMIT_BYTES) {
    throw new RegistryError('TOO_LARGE', `the manifest ${descriptor.digest} claims ${descriptor.size} bytes`);
  }
  const cached = await cache?.get(descriptor.digest);
  if (cached) return cached;
  // An index may embed it; what is embedded wrongly is damaged, and no reason to look elsewhere.
  const content = descriptor.data ?? (await source.manifest(descriptor));
  checkContent(content, descriptor, `the manifest ${descriptor.digest}`);
  await cache?.put(descriptor.digest, content);
  return content;
}

async function* limited(
  stream: AsyncIterable<Uint8Array>,
  limit: number,
  what: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  let size = 0;
  for await (const chunk of stream) {
    throwIfCancelled(signal);
    size += chunk.length;
    if (size > limit) throw new RegistryError('TOO_LARGE', `${what} is larger than ${limit} bytes`);
    yield chunk;
  }
}

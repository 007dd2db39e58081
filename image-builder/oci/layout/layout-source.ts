// Images in an OCI image layout: a directory (oci:) or an archive of one (oci-archive:)
// (OCI image-spec image-layout.md).

import { resolve } from 'node:path';
import type { Digest } from '../digest.ts';
import { distinct } from '../distinct.ts';
import { RegistryError } from '../http/registry-error.ts';
import type { ByteRange, ImageSource, MayRead, Root } from '../image-source.ts';
import { MANIFEST_LIMIT_BYTES, parseManifest } from '../manifest.ts';
import { isManifest, OCI_INDEX, OCI_MANIFEST } from '../media-types.ts';
import type { Descriptor, Index } from '../model.ts';
import { type FileReference, formatReference } from '../reference.ts';
import { DirectoryFiles, type Files, openArchiveFiles, readSmall } from '../sources/named-files.ts';
import { blobName, INDEX_FILE, tagOf } from './format.ts';

/** Opens `oci:` and `oci-archive:` references. @param mayRead for the files of a directory */
export async function openLayout(reference: FileReference, mayRead?: MayRead): Promise<ImageSource> {
  const files =
    reference.transport === 'oci'
      ? new DirectoryFiles(resolve(reference.path), mayRead)
      : await openArchiveFiles(reference.path);
  return new LayoutSource(files, reference);
}

class LayoutSource implements ImageSource {
  readonly name: string;
  readonly warnings: string[] = [];
  readonly #files: Files;
  readonly #reference: FileReference;
  readonly range?: NonNullable<ImageSource['range']>;

  constructor(files: Files, reference: FileReference) {
    this.#files = files;
    this.#reference = reference;
    this.name = formatReference(reference);
    const { range } = files;
    if (range)
      this.range = (descriptor: Descriptor, part: ByteRange) => range(blobName(descriptor.digest), part);
  }

  get cost() {
    return this.#files.cost;
  }

  async currentDigest(): Promise<Digest | undefined> {
    return this.#reference.digest ?? (await this.root()).descriptor.digest;
  }

  async root(): Promise<Root> {
    const descriptor = await this.#rootDescriptor();
    return { descriptor, content: await this.manifest(descriptor) };
  }

  async manifest(descriptor: Descriptor): Promise<Buffer> {
    return readSmall(this.#files, blobName(descriptor.digest), MANIFEST_LIMIT_BYTES, this.name);
  }

  async *blob(descriptor: Descriptor): AsyncGenerator<Uint8Array> {
    const path = blobName(descriptor.digest);
    if ((await this.#files.size(path)) === undefined) {
      throw new RegistryError('NOT_FOUND', `${this.name} has no blob ${descriptor.digest}`, {
        hint: 'The layout is incomplete; copy the image again.',
      });
    }
    yield* this.#files.stream(path);
  }

  /** They stand in index.json without a tag, and are known by their subject. */
  async *referrers(digest: Digest): AsyncGenerator<Descriptor> {
    for (const entry of (await this.#index()).manifests) {
      if (tagOf(entry) !== undefined || !isManifest(entry.mediaType)) continue;
      const content = await this.manifest(entry);
      const manifest = parseManifest(content, entry.mediaType, `the manifest ${entry.digest}`);
      if ('manifests' in manifest || manifest.subject?.digest !== digest) continue;
      const { artifactType = manifest.config.mediaType, annotations } = manifest;
      yield { ...entry, artifactType, annotations: { ...annotations, ...entry.annotations } };
    }
  }

  async close(): Promise<void> {
    await this.#files.close();
  }

  async #rootDescriptor(): Promise<Descriptor> {
    const { digest, tag } = this.#reference;
    const { manifests } = await this.#index();
    if (digest) return manifests.find((entry) => entry.digest === digest) ?? this.#unlisted(digest);
    const tags = [...new Set(manifests.map((entry) => tagOf(entry)).filter((name) => name !== undefined))];
    const chosen =
      tag === undefined ? onlyOne(manifests) : distinct(manifests.filter((entry) => namedBy(entry, tag)));
    if (chosen.length === 1 && chosen[0]) return chosen[0];
    const names =
      tags.length > 0
        ? `It has the tags ${tags.slice(0, 20).join(', ')}.`
        : `It has ${manifests.length} images without a tag.`;
    if (manifests.length === 0)
      throw new RegistryError('NOT_FOUND', `${this.name}: the layout has no images`);
    if (tag !== undefined && chosen.length === 0) {
      throw new RegistryError('NOT_FOUND', `${this.name}: the layout has no tag ${tag}`, { hint: names });
    }
    throw new RegistryError(
      'INVALID_REFERENCE',
      `${this.name} is ambiguous: the layout has ${distinct(chosen).length} such images`,
      {
        hint: `${names} Add :tag or @digest to the reference.`,
      },
    );
  }

  /** A manifest that index.json does not list (part of a nested index, or kept untagged). */
  async #unlisted(digest: Digest): Promise<Descriptor> {
    const content = await readSmall(this.#files, blobName(digest), MANIFEST_LIMIT_BYTES, this.name);
    const { mediaType } = parseManifest(content, '', `the manifest ${digest}`);
    return { mediaType: mediaType || OCI_MANIFEST, digest, size: content.length };
  }

  async #index(): Promise<Index> {
    const content = await readSmall(this.#files, INDEX_FILE, MANIFEST_LIMIT_BYTES, this.name).catch(
      async (error: unknown) => {
        if ((await this.#files.size(INDEX_FILE)) !== undefined) throw error;
        throw new RegistryError('NOT_FOUND', `${this.name} is not an OCI layout: it has no index.json`, {
          hint: 'Check the path; for the output of `docker save` use docker-archive:FILE.',
        });
      },
    );
    const index = parseManifest(content, OCI_INDEX, `index.json of ${this.name}`);
    if (!('manifests' in index))
      throw new RegistryError('INVALID_MANIFEST', `index.json of ${this.name} is not an index`);
    return index;
  }
}

/** Without a tag: the only image, else the only one that has a tag (what refers to it has none), else the latest. */
function onlyOne(manifests: readonly Descriptor[]): Descriptor[] {
  const images = manifests.filter(({ artifactType }) => artifactType === undefined);
  const tagged = manifests.filter((entry) => tagOf(entry) !== undefined);
  const latest = manifests.filter((entry) => namedBy(entry, 'latest'));
  const choices = [manifests, images, tagged, latest].map(distinct);
  return choices.find(({ length }) => length === 1) ?? manifests.slice();
}

/** Tools write the bare tag or the whole reference into the annotation. */
function namedBy(entry: Descriptor, tag: string): boolean {
  const name = tagOf(entry);
  return name === tag || name?.endsWith(`:${tag}`) === true;
}

// One tag for container runtimes and for Ironic: an index with the bundle image, which runtimes choose by its platform,
// and a manifest for each QCOW, which Ironic chooses by the annotation `disktype` (ironic/common/image_service.py).
//
// A disk manifest has one layer, the bare qcow2 file. The bundle image has the same file in a tar, since runtimes unpack
// nothing else, so a registry stores its bytes twice. Here they are not: the disk is a range of the layer.

import { checkContent, type Digest, digestOf } from '../oci/digest.ts';
import { RegistryError } from '../oci/http/registry-error.ts';
import type { ImageSource, Root } from '../oci/image-source.ts';
import { parseManifest } from '../oci/manifest.ts';
import { OCI_INDEX, OCI_LAYER, OCI_MANIFEST } from '../oci/media-types.ts';
import type { Descriptor, Manifest } from '../oci/model.ts';
import { EMPTY_CONFIG, EMPTY_CONFIG_CONTENT, type ReferrerManifest } from '../oci/referrers/referrer.ts';
import { RangedByteReader } from '../oci/tar/byte-reader.ts';
import { TarReader } from '../oci/tar/reader.ts';
import type { Artifacts, QcowArtifact } from './model.ts';
import { QCOWS_DIRECTORY } from './model.ts';
import { sbomReferrer } from './sbom-referrer.ts';
import { listSboms, openSbom } from './sboms.ts';

/** What a disk manifest is. */
export const DISK_ARTIFACT_TYPE = 'application/vnd.airshipit.image-builder.disk.v1';
const DISK_MEDIA_TYPE = 'application/vnd.qemu.qcow2';
const TITLE = 'org.opencontainers.image.title';

/**
 * Names of architectures as kernels call them: Ironic takes either; container runtimes that compare strictly never take
 * a disk for an image, and those that do not take the first entry.
 */
const KERNEL_NAMES: Record<string, string> = { amd64: 'x86_64', arm64: 'aarch64' };

/** Content with its descriptor. */
interface Document {
  descriptor: Descriptor;
  content: Buffer;
}

/** The manifest of a QCOW as a disk: the same wherever the bundle is. */
export function diskManifest({
  file,
  size,
  sha256,
}: Pick<QcowArtifact, 'file' | 'size' | 'sha256'>): Document {
  const layer = {
    mediaType: DISK_MEDIA_TYPE,
    digest: `sha256:${sha256}` as const,
    size,
    annotations: { [TITLE]: file },
  };
  return document(OCI_MANIFEST, {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    artifactType: DISK_ARTIFACT_TYPE,
    config: EMPTY_CONFIG,
    layers: [layer],
  });
}

/** A bundle in a layout, with its disks beside it. */
export interface BundleWithDisks {
  /** Opened at the bundle's manifest. */
  source: ImageSource;
  artifacts: Artifacts;
  /** Of the bundle image: `amd64`, `arm64`. */
  architecture: string;
}

/**
 * Reads a bundle as an index with its disks. The bundle's manifest is embedded in the index (descriptor.md, `data`), so
 * that reading the bundle costs no request more than without.
 * @throws RegistryError
 */
export async function withDisks({ source, artifacts, architecture }: BundleWithDisks): Promise<ImageSource> {
  const { descriptor, content } = await source.root();
  checkContent(content, descriptor, `the manifest of ${source.name}`);
  const manifest = parseManifest(content, descriptor.mediaType, `the manifest of ${source.name}`);
  if ('manifests' in manifest || !source.range) {
    throw new RegistryError('UNSUPPORTED_MEDIA_TYPE', `${source.name} is not a bundle on this machine`);
  }
  const { mediaType, digest, size } = descriptor;
  const image = {
    ...{ mediaType: mediaType || OCI_MANIFEST, digest, size },
    platform: { architecture, os: 'linux' },
    data: content.toString('base64'),
  };
  const complete = Object.values(artifacts.qcows).filter(isComplete);
  const disks = complete.map((qcow) => ({ qcow, ...diskManifest(qcow) }));
  const entries = disks.map(({ qcow, descriptor: disk }) => ({
    ...disk,
    artifactType: DISK_ARTIFACT_TYPE,
    platform: { architecture: KERNEL_NAMES[architecture] ?? architecture, os: 'linux' },
    annotations: { disktype: qcow.format, [TITLE]: qcow.file },
  }));
  const index = document(OCI_INDEX, {
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: [image, ...entries],
  });
  const sboms = await sbomsOf(source, descriptor.digest, [
    ...disks.map(({ qcow, descriptor: disk }) => ({ subject: disk, file: qcow.file })),
    { subject: index.descriptor },
  ]);
  return new DiskSource(source, manifest, index, disks, sboms);
}

/** A referrer, and what it refers to. */
interface Attached {
  subject: Digest;
  manifest: ReferrerManifest;
}

/** The bills of materials of the bundle, for each disk and for the index: whoever is asked about those answers as well. */
async function sbomsOf(
  source: ImageSource,
  bundle: Digest,
  subjects: readonly { subject: Descriptor; file?: string }[],
): Promise<Attached[]> {
  const found: Attached[] = [];
  for await (const sbom of listSboms(source, bundle)) {
    const described = sbom.file;
    if (described === undefined) continue;
    const document = await openSbom(source, sbom);
    for (const { subject, file } of subjects)
      if (file === undefined || file === described)
        found.push({
          subject: subject.digest,
          manifest: sbomReferrer({ file: described }, subject, document.descriptor),
        });
  }
  return found;
}

function isComplete(qcow: Artifacts['qcows'][string]): qcow is QcowArtifact {
  return qcow.sha256 !== undefined && qcow.size !== undefined;
}

function document(mediaType: string, value: unknown): Document {
  const content = Buffer.from(JSON.stringify(value));
  return { content, descriptor: { mediaType, digest: digestOf(content), size: content.length } };
}

/** Where the bytes of a disk are. */
interface Extent {
  layer: Descriptor;
  /** Bytes from the beginning of the layer. */
  offset: number;
}

class DiskSource implements ImageSource {
  readonly name: string;
  readonly warnings: string[] = [];
  readonly resumable = true;
  readonly #source: ImageSource;
  readonly #layers: Descriptor[];
  readonly #index: Document;
  readonly #documents: Map<Digest, Buffer>;
  readonly #files: Map<Digest, string>;
  readonly #attached: readonly Attached[];
  #extents: Promise<Map<string, Extent>> | undefined;

  constructor(
    source: ImageSource,
    manifest: Manifest,
    index: Document,
    disks: (Document & { qcow: QcowArtifact })[],
    attached: readonly Attached[],
  ) {
    this.#attached = attached;
    this.#source = source;
    this.#layers = manifest.layers;
    this.#index = index;
    this.#documents = new Map(disks.map(({ descriptor, content }) => [descriptor.digest, content]));
    for (const { manifest: one } of attached) this.#documents.set(one.descriptor.digest, one.content);
    this.#documents.set(EMPTY_CONFIG.digest, EMPTY_CONFIG_CONTENT);
    this.#files = new Map(disks.map(({ qcow }) => [`sha256:${qcow.sha256}`, qcow.file]));
    this.name = source.name;
  }

  get cost() {
    return this.#source.cost;
  }

  async currentDigest(): Promise<Digest> {
    return this.#index.descriptor.digest;
  }

  async root(): Promise<Root> {
    return this.#index;
  }

  async manifest(descriptor: Descriptor): Promise<Buffer> {
    return this.#documents.get(descriptor.digest) ?? (await this.#source.manifest(descriptor));
  }

  async *referrers(digest: Digest): AsyncGenerator<Descriptor> {
    for (const { subject, manifest } of this.#attached) if (subject === digest) yield manifest.descriptor;
    if (this.#source.referrers) yield* this.#source.referrers(digest);
  }

  async *blob(descriptor: Descriptor, start = 0): AsyncGenerator<Uint8Array> {
    const known = this.#documents.get(descriptor.digest);
    const file = this.#files.get(descriptor.digest);
    if (known) yield known.subarray(start);
    else if (file === undefined) yield* this.#pieces(descriptor, start, descriptor.size);
    else {
      const extent = (await this.#find()).get(file);
      if (!extent) throw new RegistryError('NOT_FOUND', `${this.name} has no ${QCOWS_DIRECTORY}/${file}`);
      const { layer, offset } = extent;
      yield* this.#pieces(layer, offset + start, offset + descriptor.size);
    }
  }

  async close(): Promise<void> {
    await this.#source.close();
  }

  async *#pieces(blob: Descriptor, start: number, end: number): AsyncGenerator<Uint8Array> {
    const piece = 1024 * 1024;
    for (let position = start; position < end; position += piece) {
      yield await this.#range(blob, position, Math.min(piece, end - position));
    }
  }

  #range(blob: Descriptor, start: number, length: number): Promise<Buffer> {
    const { range } = this.#source;
    if (!range) throw new TypeError('a source without ranges');
    return range(blob, { start, length });
  }

  #find(): Promise<Map<string, Extent>> {
    this.#extents ??= this.#scan();
    return this.#extents;
  }

  /** Jumps from header to header through the layers that are not compressed: those of the QCOWs are not. */
  async #scan(): Promise<Map<string, Extent>> {
    const extents = new Map<string, Extent>();
    for (const layer of this.#layers.filter(({ mediaType }) => mediaType === OCI_LAYER)) {
      const fetch = (start: number, length: number) => this.#range(layer, start, length);
      const tar = new TarReader(new RangedByteReader(fetch, layer.size, 4096), `layer ${layer.digest}`);
      for (let entry = await tar.next(); entry; entry = await tar.next()) {
        if (entry.type !== 'file' || !tar.contiguous) continue;
        const [directory, name, ...rest] = entry.path.replace(/^(?:\.?\/)+/, '').split('/');
        if (`/${directory}` !== QCOWS_DIRECTORY || name === undefined || rest.length > 0) continue;
        extents.set(name, { layer, offset: tar.position });
      }
    }
    return extents;
  }
}

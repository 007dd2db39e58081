// Makes OCI layouts for tests: layers from entries, in any compression, with history and annotations.

import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';

/** A file (with content), or something else of a layer. */
export interface TestEntry {
  name: string;
  type?: 'file' | 'directory' | 'symlink' | 'link';
  content?: string | Buffer;
  linkname?: string;
  /** Default: that of tar-stream. */
  mode?: number;
}

export interface TestLayer {
  /** Entries to pack, or a finished tar. */
  entries?: TestEntry[];
  tar?: Buffer;
  compression?: 'none' | 'gzip' | ((tar: Buffer) => { blob: Buffer; mediaType: string });
  history?: string;
  annotations?: Record<string, string>;
  mediaType?: string;
}

export interface TestImage {
  layers: TestLayer[];
  tag?: string;
  labels?: Record<string, string>;
  /** Default: `function`, as bundles have it. */
  entrypoint?: string[];
  platform?: { os: string; architecture: string };
  withoutHistory?: boolean;
}

export interface BlobDescriptor {
  mediaType: string;
  digest: string;
  size: number;
  annotations?: Record<string, string>;
  platform?: { os: string; architecture: string };
}

export function sha256(content: Buffer | string): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}

/** A tar of the entries. */
export async function makeTar(entries: TestEntry[]): Promise<Buffer> {
  const archive = pack();
  const parts: Buffer[] = [];
  const done = (async () => {
    for await (const part of archive) parts.push(part as Buffer);
  })();
  for (const { name, type = 'file', content = '', linkname, mode } of entries) {
    const body = Buffer.from(content);
    const header = {
      name,
      type,
      mtime: new Date(0),
      ...(linkname !== undefined && { linkname }),
      ...(mode && { mode }),
    };
    if (type === 'file') archive.entry({ ...header, size: body.length }, body);
    else archive.entry(header);
  }
  archive.finalize();
  await done;
  return Buffer.concat(parts);
}

/** Writes blobs, and the index of a layout. */
export class LayoutWriter {
  readonly directory: string;
  readonly #manifests: BlobDescriptor[] = [];

  constructor(directory: string) {
    this.directory = directory;
    mkdirSync(join(directory, 'blobs/sha256'), { recursive: true });
    writeFileSync(join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  }

  blob(content: Buffer | string, mediaType: string): BlobDescriptor {
    const digest = sha256(content);
    writeFileSync(join(this.directory, 'blobs/sha256', digest.slice(7)), content);
    return { mediaType, digest, size: Buffer.byteLength(content) };
  }

  async image(image: TestImage): Promise<BlobDescriptor> {
    const platform = image.platform ?? { os: 'linux', architecture: 'amd64' };
    const layers: BlobDescriptor[] = [];
    const diffIds: string[] = [];
    for (const layer of image.layers) {
      const tar = layer.tar ?? (await makeTar(layer.entries ?? []));
      const { blob, mediaType } = compress(tar, layer.compression ?? 'gzip');
      const annotations = layer.annotations && { annotations: layer.annotations };
      layers.push({ ...this.blob(blob, layer.mediaType ?? mediaType), ...annotations });
      diffIds.push(sha256(tar));
    }
    const history = image.layers.map((layer) => ({ created_by: layer.history ?? '' }));
    const config = this.blob(
      JSON.stringify({
        ...platform,
        config: { Labels: image.labels ?? {}, Entrypoint: image.entrypoint ?? ['function'] },
        rootfs: { type: 'layers', diff_ids: diffIds },
        ...(!image.withoutHistory && { history }),
      }),
      'application/vnd.oci.image.config.v1+json',
    );
    const manifest = {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config,
      layers,
    };
    return { ...this.blob(JSON.stringify(manifest), manifest.mediaType), platform };
  }

  index(manifests: BlobDescriptor[]): BlobDescriptor {
    const mediaType = 'application/vnd.oci.image.index.v1+json';
    return this.blob(JSON.stringify({ schemaVersion: 2, mediaType, manifests }), mediaType);
  }

  /** Lists a manifest or index under a tag. */
  tag(descriptor: BlobDescriptor, name?: string): void {
    const annotations =
      name === undefined ? {} : { annotations: { 'org.opencontainers.image.ref.name': name } };
    this.#manifests.push({ ...descriptor, ...annotations });
    const index = { schemaVersion: 2, manifests: this.#manifests };
    writeFileSync(join(this.directory, 'index.json'), JSON.stringify(index));
  }
}

/** One image in a layout of its own. */
export async function writeLayout(directory: string, image: TestImage): Promise<BlobDescriptor> {
  const writer = new LayoutWriter(directory);
  const manifest = await writer.image(image);
  writer.tag(manifest, image.tag ?? 'latest');
  return manifest;
}

function compress(
  tar: Buffer,
  how: NonNullable<TestLayer['compression']>,
): { blob: Buffer; mediaType: string } {
  const mediaType = 'application/vnd.oci.image.layer.v1.tar';
  if (typeof how === 'function') return how(tar);
  return how === 'none' ? { blob: tar, mediaType } : { blob: gzipSync(tar), mediaType: `${mediaType}+gzip` };
}

// The nouns of OCI images, with the fields that their JSON has (OCI image-spec 1.1). Docker's manifests, version 2 schema 2,
// are the same but for their media types. Parsing is in manifest.ts: only what it gives may be believed to have this shape.

import type { Digest } from './digest.ts';

/** What an image runs on, in the words of GOOS and GOARCH (image-index.md, `platform`). */
export interface Platform {
  os: string;
  architecture: string;
  variant?: string;
}

/** A pointer to content (descriptor.md). */
export interface Descriptor {
  /** Empty when the document names none. */
  mediaType: string;
  digest: Digest;
  /** Bytes. */
  size: number;
  annotations?: Record<string, string>;
  /** Of an entry of an index. */
  platform?: Platform;
  /** What a manifest that is no image is. */
  artifactType?: string;
  /** The content itself, not yet checked ("Embedded Content"); base64 in JSON. */
  data?: Buffer;
}

/** An image, or an artifact in the form of one (manifest.md). */
export interface Manifest {
  schemaVersion: 2;
  mediaType: string;
  artifactType?: string;
  /** Of the {@link ImageConfig}. */
  config: Descriptor;
  /** Lowest first. */
  layers: Descriptor[];
  /** What it refers to. */
  subject?: Descriptor;
  annotations?: Record<string, string>;
}

/** Several manifests, of which a platform chooses one (image-index.md); also the list of images in a layout. */
export interface Index {
  schemaVersion: 2;
  mediaType: string;
  manifests: Descriptor[];
  annotations?: Record<string, string>;
}

/** How an image is run, and what it was made of (config.md). Others leave out what the specification requires. */
export interface ImageConfig extends Partial<Platform> {
  /** RFC 3339. */
  created?: string;
  config?: {
    Env?: string[];
    Entrypoint?: string[] | null;
    Cmd?: string[] | null;
    User?: string;
    Labels?: Record<string, string>;
  };
  /** Digests of the uncompressed layers, lowest first. */
  rootfs: { type: 'layers'; diff_ids: Digest[] };
  /** How the layers came to be, lowest first; steps that made no layer are marked. */
  history?: { created?: string; created_by?: string; empty_layer?: boolean }[];
}

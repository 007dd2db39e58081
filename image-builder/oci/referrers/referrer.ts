// Content that refers to an image by its digest: bills of materials, signatures (OCI image-spec 1.1, manifest.md,
// "Guidelines for Artifact Usage" and `subject`). A registry lists it with the image, and the image stays as it is.
import { type Digest, digestOf } from '../digest.ts';
import { OCI_MANIFEST } from '../media-types.ts';
import type { Descriptor } from '../model.ts';

/** The config of an artifact that has none (manifest.md, "Guidance for an Empty Descriptor"). */
export const EMPTY_CONFIG_CONTENT: Buffer = Buffer.from('{}');
export const EMPTY_CONFIG: Descriptor = {
  mediaType: 'application/vnd.oci.empty.v1+json',
  digest: digestOf(EMPTY_CONFIG_CONTENT),
  size: EMPTY_CONFIG_CONTENT.length,
};

/** Small content is embedded where it is named (descriptor.md, `data`): it costs no request then. Bytes. */
const EMBEDDED_LIMIT = 16 * 1024;

/** What refers to an image. */
export interface Referrer {
  artifactType: string;
  /** Media type of the content. */
  mediaType: string;
  /** By which readers choose; also of the entry in the list of referrers. */
  annotations: Readonly<Record<string, string>>;
  /** File name of the content. */
  title?: string;
}

/** Where the content is, and the content itself when it is small. */
export interface ReferrerContent {
  digest: Digest;
  size: number;
  content?: Buffer;
}

/** The manifest of a referrer, and what a list of referrers says of it. */
export interface ReferrerManifest {
  content: Buffer;
  descriptor: Descriptor & { artifactType: string; annotations: Record<string, string> };
}

/**
 * Whether an entry of a list says what the referrer is. Some lists leave out what its manifest says, or say another thing
 * (cosign 3.1, go-containerregistry).
 */
export function saysWhatItIs({ artifactType, annotations }: Descriptor): boolean {
  return Boolean(artifactType && artifactType !== EMPTY_CONFIG.mediaType && annotations);
}

/** The manifest of one piece of content that refers to `subject`. */
export function referrerManifest(
  subject: Pick<Descriptor, 'mediaType' | 'digest' | 'size'>,
  { artifactType, mediaType, annotations, title }: Referrer,
  { digest, size, content }: ReferrerContent,
): ReferrerManifest {
  const embedded = content && content.length <= EMBEDDED_LIMIT && content.toString('base64');
  const manifest = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    artifactType,
    config: EMPTY_CONFIG,
    layers: [
      {
        mediaType,
        digest,
        size,
        ...(embedded && { data: embedded }),
        ...(title !== undefined && { annotations: { 'org.opencontainers.image.title': title } }),
      },
    ],
    subject: { mediaType: subject.mediaType, digest: subject.digest, size: subject.size },
    annotations,
  };
  const bytes = Buffer.from(JSON.stringify(manifest));
  return {
    content: bytes,
    descriptor: {
      mediaType: OCI_MANIFEST,
      digest: digestOf(bytes),
      size: bytes.length,
      artifactType,
      annotations: { ...annotations },
    },
  };
}

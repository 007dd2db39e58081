// Parses manifests, indexes and image configs, and believes nothing
// (OCI image-spec manifest.md, image-index.md, config.md; Docker image manifest v2 schema 2).

import { isRecord } from '../base/record.ts';
import { type Digest, isDigest } from './digest.ts';
import { RegistryError } from './http/registry-error.ts';
import { isIndex, isManifest, OCI_INDEX, OCI_MANIFEST } from './media-types.ts';
import type { Descriptor, ImageConfig, Index, Manifest, Platform } from './model.ts';

/** Manifests, indexes and configs above this are refused; distribution-spec makes registries accept at least 4 MiB. */
export const MANIFEST_LIMIT_BYTES = 4 * 1024 * 1024;
/** More layers than any image has (overlayfs stops at 500, Docker at 127). */
const LAYER_LIMIT = 1000;

/**
 * Parses a manifest or index.
 * @param declaredType the Content-Type or descriptor media type, used when the document itself names none
 * @throws RegistryError INVALID_MANIFEST, UNSUPPORTED_MEDIA_TYPE
 */
export function parseManifest(content: Uint8Array, declaredType: string, what: string): Manifest | Index {
  const document = parseObject(content, what);
  if (document.schemaVersion === 1) {
    throw new RegistryError(
      'UNSUPPORTED_MEDIA_TYPE',
      `${what} is a Docker schema 1 manifest, which Docker withdrew in 2017`,
      {
        hint: 'Push the image again with a current tool, or convert it: skopeo copy --format oci.',
      },
    );
  }
  const mediaType = manifestType(document, declaredType, what);
  const annotations = isRecord(document.annotations) && { annotations: stringMap(document.annotations) };
  if (isIndex(mediaType)) {
    const manifests = descriptors(document.manifests, 'manifests', what);
    return { schemaVersion: 2, mediaType, manifests, ...annotations };
  }
  const layers = descriptors(document.layers, 'layers', what);
  if (layers.length > LAYER_LIMIT) throw invalid(what, `it has ${layers.length} layers`);
  return {
    schemaVersion: 2,
    mediaType,
    config: descriptor(document.config, 'config', what),
    layers,
    ...annotations,
    ...(typeof document.artifactType === 'string' && { artifactType: document.artifactType }),
    ...(isRecord(document.subject) && { subject: descriptor(document.subject, 'subject', what) }),
  };
}

/**
 * Parses an image config: the fields that something here decides by.
 * @throws RegistryError INVALID_MANIFEST
 */
export function parseConfig(content: Uint8Array, what: string): ImageConfig {
  const document = parseObject(content, what);
  const settings = isRecord(document.config) ? document.config : {};
  const rootfs = isRecord(document.rootfs) ? document.rootfs : {};
  return {
    ...parsePlatform(document),
    ...(typeof document.created === 'string' && { created: document.created }),
    config: { Labels: stringMap(settings.Labels) },
    rootfs: {
      type: 'layers',
      diff_ids: list(rootfs.diff_ids).filter((id): id is Digest => typeof id === 'string' && isDigest(id)),
    },
    history: list(document.history)
      .filter(isRecord)
      .map((entry) => ({
        ...(typeof entry.created_by === 'string' && { created_by: entry.created_by }),
        ...(entry.empty_layer === true && { empty_layer: true }),
      })),
  };
}

/** What made each layer, lowest first; empty where nobody has said so. Steps that made no layer do not count. */
export function stepsOf({ history = [] }: ImageConfig): string[] {
  return history.filter((step) => !step.empty_layer).map((step) => step.created_by ?? '');
}

/**
 * The media type of a manifest document. The document's own `mediaType` must agree with the declared one as far as both
 * are known: otherwise the same bytes could mean two things (OCI image-spec, "Ambiguous manifests").
 */
function manifestType(document: Record<string, unknown>, declared: string, what: string): string {
  const own = typeof document.mediaType === 'string' ? document.mediaType : undefined;
  const known = (type: string | undefined) => type !== undefined && (isIndex(type) || isManifest(type));
  const hasLayers = document.layers !== undefined || document.config !== undefined;
  const hasManifests = document.manifests !== undefined;
  if (hasLayers && hasManifests) throw invalid(what, 'it is a manifest and an index at the same time');
  if (own !== undefined && !known(own)) {
    throw new RegistryError(
      'UNSUPPORTED_MEDIA_TYPE',
      `${what} has the media type ${own}, which is not an image`,
    );
  }
  if (own !== undefined && known(declared) && own !== declared) {
    throw invalid(what, `it declares ${own}, but was announced as ${declared}`);
  }
  const type = own ?? (known(declared) ? declared : hasManifests ? OCI_INDEX : OCI_MANIFEST);
  if (isIndex(type) !== hasManifests)
    throw invalid(what, `its content does not match its media type ${type}`);
  return type;
}

function descriptors(value: unknown, field: string, what: string): Descriptor[] {
  if (!Array.isArray(value)) throw invalid(what, `"${field}" is not a list`);
  return value.map((entry, index) => descriptor(entry, `${field}[${index}]`, what));
}

function descriptor(value: unknown, field: string, what: string): Descriptor {
  if (!isRecord(value)) throw invalid(what, `"${field}" is not a descriptor`);
  const { mediaType, digest, size } = value;
  if (typeof digest !== 'string' || !isDigest(digest)) {
    throw invalid(what, `"${field}.digest" is ${JSON.stringify(digest)}, not a sha256 or sha512 digest`);
  }
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
    throw invalid(what, `"${field}.size" is ${JSON.stringify(size)}, not a number of bytes`);
  }
  const platform = parsePlatform(value.platform);
  return {
    mediaType: typeof mediaType === 'string' ? mediaType : '',
    digest,
    size,
    ...(isRecord(value.annotations) && { annotations: stringMap(value.annotations) }),
    ...(platform && { platform }),
    ...(typeof value.artifactType === 'string' && { artifactType: value.artifactType }),
    ...(typeof value.data === 'string' && { data: Buffer.from(value.data, 'base64') }),
  };
}

function parsePlatform(value: unknown): Platform | undefined {
  if (!isRecord(value)) return undefined;
  const { os, architecture, variant } = value;
  if (typeof os !== 'string' || typeof architecture !== 'string') return undefined;
  return { os, architecture, ...(typeof variant === 'string' && variant !== '' && { variant }) };
}

function parseObject(content: Uint8Array, what: string): Record<string, unknown> {
  if (content.length > MANIFEST_LIMIT_BYTES) {
    throw new RegistryError('TOO_LARGE', `${what} is larger than ${MANIFEST_LIMIT_BYTES} bytes`);
  }
  let document: unknown;
  try {
    document = JSON.parse(Buffer.from(content.buffer, content.byteOffset, content.length).toString('utf8'));
  } catch (cause) {
    throw new RegistryError('INVALID_MANIFEST', `${what} is not JSON`, { cause });
  }
  if (!isRecord(document)) throw invalid(what, 'it is not a JSON object');
  return document;
}

function stringMap(value: unknown): Record<string, string> {
  if (!isRecord(value)) return {};
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function invalid(what: string, problem: string): RegistryError {
  return new RegistryError('INVALID_MANIFEST', `${what} is malformed: ${problem}`);
}

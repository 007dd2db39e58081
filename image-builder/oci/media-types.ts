// Media types of manifests and layers (OCI image-spec media-types.md; Docker image manifest v2 schema 2).

import { RegistryError } from './http/registry-error.ts';

export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json';
export const OCI_LAYER = 'application/vnd.oci.image.layer.v1.tar';
export const DOCKER_MANIFEST_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json';
export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
export const DOCKER_CONFIG = 'application/vnd.docker.container.image.v1+json';
export const DOCKER_LAYER = 'application/vnd.docker.image.rootfs.diff.tar';

/** What a registry is asked for when a manifest or index is wanted. */
export const ACCEPT_MANIFESTS = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_MANIFEST_LIST].join(', ');

/** How a layer is packed. */
export type Compression = 'none' | 'gzip' | 'zstd';

const LAYERS: Record<string, Compression> = {
  [OCI_LAYER]: 'none',
  [`${OCI_LAYER}+gzip`]: 'gzip',
  [`${OCI_LAYER}+zstd`]: 'zstd',
  [DOCKER_LAYER]: 'none',
  [`${DOCKER_LAYER}.gzip`]: 'gzip',
  [`${DOCKER_LAYER}.zstd`]: 'zstd',
};

const FOREIGN = /^application\/vnd\.(?:docker\.image\.rootfs\.foreign|oci\.image\.layer\.nondistributable)\b/;

/** Whether content of this type names manifests, in the terms of OCI or of Docker. */
export function isIndex(mediaType: string): boolean {
  return mediaType === OCI_INDEX || mediaType === DOCKER_MANIFEST_LIST;
}

/** Whether content of this type describes one image. */
export function isManifest(mediaType: string): boolean {
  return mediaType === OCI_MANIFEST || mediaType === DOCKER_MANIFEST;
}

/**
 * The compression that a layer's media type declares.
 * @throws RegistryError UNSUPPORTED_MEDIA_TYPE for foreign layers and for anything that is not a file system layer
 */
export function layerCompression(mediaType: string): Compression {
  const compression = LAYERS[mediaType];
  if (compression) return compression;
  if (FOREIGN.test(mediaType)) {
    throw new RegistryError(
      'UNSUPPORTED_MEDIA_TYPE',
      `a layer has the media type ${mediaType}, whose content no registry distributes`,
      {
        hint: 'Such images (Windows base layers) are not bundles; check the reference.',
      },
    );
  }
  const problem =
    mediaType === '' ? 'no media type' : `the media type ${mediaType}, which is not a file system layer`;
  throw new RegistryError('UNSUPPORTED_MEDIA_TYPE', `a layer has ${problem}`, {
    hint: `This is an artifact, not an image; layers must be one of ${Object.keys(LAYERS).join(', ')}.`,
  });
}

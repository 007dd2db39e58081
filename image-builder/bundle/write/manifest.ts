// Manifest and configuration of the bundle image (OCI image-spec 1.1, manifest.md and config.md).

import { timeStamp } from '../../base/time-stamp.ts';
import { OCI_MANIFEST } from '../../oci/media-types.ts';
import type { Descriptor, ImageConfig, Manifest } from '../../oci/model.ts';
import { INDEX_LAYER_ANNOTATION, PROFILES_LAYER_ANNOTATION } from '../model.ts';

/** A layer that the bundle adds, and what `history` says about it. */
export interface AddedLayer {
  descriptor: Descriptor;
  createdBy: string;
}

/** What the image is described by. */
export interface ImageDescription {
  /** Time stamp of the image, in seconds since the epoch. */
  created: number;
  /** Architecture of the image when there is no base (`amd64`, `arm64`). */
  architecture: string;
  /** `org.opencontainers.image.*` and others; labels of the configuration and annotations of the manifest. */
  labels: Readonly<Record<string, string>>;
}

/** The image that the bundle is laid over. */
export interface BaseImage {
  config: ImageConfig;
  layers: Descriptor[];
}

const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * The configuration of the bundle image. On a base it runs the base's `function`: the bundle then is a KRM function that
 * answers from its own /profiles, as the predecessor's bundles do. Without a base there is nothing to run.
 */
export function imageConfig(
  description: ImageDescription,
  layers: readonly AddedLayer[],
  base: BaseImage | undefined,
): ImageConfig {
  const created = timeStamp(description.created);
  const { Cmd: _, ...inherited } = base?.config.config ?? {};
  // As the predecessor's bundle: an init container that copies the images to a directory of the host needs root.
  // kustomize and kpt start it as nobody nevertheless.
  const running = base && { Entrypoint: ['function'], User: '0:0' };
  return {
    ...base?.config,
    created,
    architecture: base?.config.architecture ?? description.architecture,
    os: base?.config.os ?? 'linux',
    config: {
      ...inherited,
      Env: inherited.Env ?? [PATH],
      ...running,
      Labels: { ...inherited.Labels, ...imageLabels(description) },
    },
    rootfs: {
      type: 'layers',
      diff_ids: [...(base?.config.rootfs.diff_ids ?? []), ...layers.map((layer) => layer.descriptor.digest)],
    },
    history: [
      ...(base?.config.history ?? []),
      ...layers.map((layer) => ({ created, created_by: layer.createdBy })),
    ],
  };
}

/** The manifest of the bundle image; the base's layers come first. */
export function imageManifest(
  config: Descriptor,
  layers: readonly AddedLayer[],
  base: BaseImage | undefined,
  description: ImageDescription,
): Manifest {
  return {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config,
    layers: [...(base?.layers ?? []), ...layers.map((layer) => layer.descriptor)],
    annotations: imageLabels(description),
  };
}

/** Marks the layer that alone holds all of /profiles, so that a reader fetches nothing else. */
export function markProfilesLayer(descriptor: Descriptor): Descriptor {
  return { ...descriptor, annotations: { [PROFILES_LAYER_ANNOTATION]: 'true' } };
}

/** Marks the layer with the index of an image, by which a reader makes the image from an earlier one. */
export function markIndexLayer(descriptor: Descriptor, file: string): Descriptor {
  return { ...descriptor, annotations: { [INDEX_LAYER_ANNOTATION]: file } };
}

function imageLabels(description: ImageDescription): Record<string, string> {
  const labels: Record<string, string> = {
    'org.opencontainers.image.created': timeStamp(description.created),
    ...description.labels,
  };
  return Object.fromEntries(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
}

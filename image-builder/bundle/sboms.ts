// The bills of materials that refer to a bundle: which there are, and their documents.
import type { Digest } from '../oci/digest.ts';
import type { ImageSource } from '../oci/image-source.ts';
import type { Descriptor } from '../oci/model.ts';
import {
  describeReferrer,
  referrerContentOf,
  referrerLayerOf,
  referrerManifestOf,
} from '../oci/referrers/read.ts';
import { DISK_ANNOTATION, SPDX } from './sbom-referrer.ts';

/** A hundred times as large as that of a node image. Bytes. */
const LIMIT = 64 * 1024 * 1024;

/** A bill of materials as a list of referrers tells of it. */
export interface ListedSbom {
  /** Its manifest. */
  descriptor: Descriptor;
  /** Name of the file of the disk that it describes; undefined when another tool attached it and does not say. */
  file: string | undefined;
}

/**
 * The bills of materials that refer to a manifest, in the order of its list. Nobody vouches for them.
 * @param digest of the bundle, of the index with its disks, or of a disk
 * @throws RegistryError
 */
export async function* listSboms(source: ImageSource, digest: Digest): AsyncGenerator<ListedSbom> {
  for await (const descriptor of source.referrers?.(digest) ?? []) {
    const { artifactType, annotations } = await describeReferrer(source, descriptor);
    if (artifactType === SPDX) yield { descriptor, file: annotations[DISK_ANNOTATION] };
  }
}

/** The SPDX document of a bill of materials. */
export interface SbomDocument {
  descriptor: Descriptor;
  /**
   * @returns JSON text, as stored
   * @throws RegistryError
   */
  read(): Promise<Buffer>;
}

/**
 * Reads the manifest of a bill of materials; the document itself, which is large, only when it is asked for.
 * @throws RegistryError
 */
export async function openSbom(source: ImageSource, { descriptor }: ListedSbom): Promise<SbomDocument> {
  const what = `the bill of materials ${descriptor.digest}`;
  const manifest = await referrerManifestOf(source, descriptor);
  return {
    descriptor: referrerLayerOf(manifest, what),
    read: () => referrerContentOf(source, manifest, LIMIT, what),
  };
}

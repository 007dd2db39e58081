// The bill of materials of a disk as trivy, Harbor and oras look for it: an SPDX document that refers to the bundle.
import type { Digest } from '../oci/digest.ts';
import { type ReferrerManifest, referrerManifest } from '../oci/referrers/referrer.ts';
import type { QcowArtifact } from './model.ts';

/** Media type of the document, and artifact type of its manifest: trivy takes it when both are this. */
export const SPDX = 'application/spdx+json';

/** OCI annotation of a referrer: the disk that it describes, by the name of its file. */
export const DISK_ANNOTATION = 'org.airshipit.image-builder.disk';

/** @param subject the manifest that it refers to: of the bundle, of an index with it, or of the disk */
export function sbomReferrer(
  { file }: Pick<QcowArtifact, 'file'>,
  subject: { mediaType: string; digest: string; size: number },
  document: { digest: Digest; size: number },
): ReferrerManifest {
  const title = `${file.replace(/\.qcow2$/, '')}.spdx.json`;
  return referrerManifest(
    { ...subject, digest: subject.digest as Digest },
    { artifactType: SPDX, mediaType: SPDX, annotations: { [DISK_ANNOTATION]: file }, title },
    document,
  );
}

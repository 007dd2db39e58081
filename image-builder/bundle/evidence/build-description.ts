// The description of the build that made a bundle. It is attached to the bundle, and the signed provenance names its digest.
import type { Digest } from '../../oci/digest.ts';
import { digestOf } from '../../oci/digest.ts';
import type { ImageSource } from '../../oci/image-source.ts';
import type { Descriptor } from '../../oci/model.ts';
import type { NewReferrer } from '../../oci/referrers/attached.ts';
import {
  describeReferrer,
  referrerContentOf,
  referrerLayerOf,
  referrerManifestOf,
} from '../../oci/referrers/read.ts';
import { referrerManifest } from '../../oci/referrers/referrer.ts';

/** Media type of a description, and artifact type of its manifest. */
export const DESCRIPTION_TYPE = 'application/vnd.airshipit.image-builder.build.v1+json';

/** Limit in bytes; a build with megabytes of embedded files stays below it. */
const LIMIT = 64 * 1024 * 1024;

/** Equal bytes for equal builds, so that a registry keeps one copy. */
export function descriptionReferrer(
  subject: Pick<Descriptor, 'mediaType' | 'digest' | 'size'>,
  content: Buffer,
): NewReferrer {
  const digest = digestOf(content);
  const manifest = referrerManifest(
    subject,
    { artifactType: DESCRIPTION_TYPE, mediaType: DESCRIPTION_TYPE, annotations: {}, title: 'build.json' },
    { digest, size: content.length },
  );
  return { subject: subject.digest, manifest, content, digest };
}

/**
 * Reads the description with a digest, and checks it against that.
 * @param subject what it refers to
 * @returns undefined if it is missing
 * @throws RegistryError
 */
export async function readBuildDescription(
  source: ImageSource,
  subject: Digest,
  digest: Digest,
): Promise<Buffer | undefined> {
  const what = `the description of the build ${digest}`;
  for await (const descriptor of source.referrers?.(subject) ?? []) {
    const { artifactType } = await describeReferrer(source, descriptor);
    if (artifactType !== DESCRIPTION_TYPE) continue;
    const manifest = await referrerManifestOf(source, descriptor);
    if (referrerLayerOf(manifest, what).digest === digest)
      return await referrerContentOf(source, manifest, LIMIT, what);
  }
  return undefined;
}

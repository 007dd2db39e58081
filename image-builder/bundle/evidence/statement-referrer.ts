// A signed statement as a referrer of a bundle, in the form of cosign 3, so that cosign finds it.
import { SIGSTORE_BUNDLE } from '../../attestation/envelope.ts';
import { digestOf } from '../../oci/digest.ts';
import type { Descriptor } from '../../oci/model.ts';
import type { NewReferrer } from '../../oci/referrers/attached.ts';
import { referrerManifest } from '../../oci/referrers/referrer.ts';

/** OCI annotation of a statement's manifest with the predicate type. It is unsigned; readers use it to choose what to fetch. */
export const PREDICATE_TYPE_ANNOTATION = 'dev.sigstore.bundle.predicateType';

/**
 * Annotations for the time and the kind of envelope, which cosign's bundle specification makes optional, are left out: the signed
 * statement has both, and every reader would fetch them twice.
 * @param subject the manifest that the statement is attached to, which is one of its subjects
 */
export function statementReferrer(
  subject: Pick<Descriptor, 'mediaType' | 'digest' | 'size'>,
  { content, predicateType }: { content: Buffer; predicateType: string },
): NewReferrer {
  const digest = digestOf(content);
  const manifest = referrerManifest(
    subject,
    {
      artifactType: SIGSTORE_BUNDLE,
      mediaType: SIGSTORE_BUNDLE,
      annotations: { [PREDICATE_TYPE_ANNOTATION]: predicateType },
    },
    { digest, size: content.length, content },
  );
  return { subject: subject.digest, manifest, content, digest };
}

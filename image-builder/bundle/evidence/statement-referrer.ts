// A signed statement as it lies beside a bundle: as cosign 3 attaches it, so that cosign finds it.
import { SIGSTORE_BUNDLE } from '../../attestation/envelope.ts';
import { digestOf } from '../../oci/digest.ts';
import type { Descriptor } from '../../oci/model.ts';
import type { NewReferrer } from '../../oci/referrers/attached.ts';
import { referrerManifest } from '../../oci/referrers/referrer.ts';

/** OCI annotation of a statement's manifest: what kind of statement it is. Unsigned; readers choose by it. */
export const PREDICATE_TYPE_ANNOTATION = 'dev.sigstore.bundle.predicateType';

/**
 * The annotations by which others write down the time and that it is an envelope (cosign's bundle specification: "may") are
 * left out: the signed statement says both, and here they would stand twice in what each reader fetches.
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

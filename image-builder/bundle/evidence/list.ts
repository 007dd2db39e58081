// What is attached to a bundle, by its own unverified description.
import { claimsIn, SIGSTORE_BUNDLE } from '../../attestation/envelope.ts';
import { PREDICATES, parseStatement, subjectOf } from '../../attestation/statement.ts';
import type { Digest } from '../../oci/digest.ts';
import { RegistryError } from '../../oci/http/registry-error.ts';
import type { ImageSource } from '../../oci/image-source.ts';
import { describeReferrer } from '../../oci/referrers/read.ts';
import { DISK_ANNOTATION } from '../sbom-referrer.ts';
import { findStatements } from './find-statements.ts';

/** Something attached to a bundle. */
export interface Evidence {
  /** `signature`, `provenance`, `sbom`, `bootTest`, a predicate type, or the artifact type if it is not a statement. */
  kind: string;
  /** The key that it names (hex SHA-256), whether or not that key signed it. */
  key?: string;
  /** What it claims, or which disk it describes. */
  claims: Record<string, string>;
}

/** At most this many are shown. */
const MOST = 100;

/**
 * @returns an empty list if there is nobody to ask (offline)
 * @throws TrustError, RegistryError
 */
export async function listEvidence(source: ImageSource, digest: Digest): Promise<Evidence[]> {
  const evidence: Evidence[] = [];
  try {
    for await (const descriptor of source.referrers?.(digest) ?? []) {
      if (evidence.length >= MOST) break;
      const { artifactType, annotations } = await describeReferrer(source, descriptor);
      if (artifactType === SIGSTORE_BUNDLE) continue;
      const disk = annotations[DISK_ANNOTATION];
      evidence.push({ kind: artifactType, claims: disk === undefined ? {} : { disk } });
    }
    for await (const found of findStatements(source, digest, undefined)) {
      const claimed = 'problem' in found ? undefined : claimsIn(found.content);
      const statement = claimed && parseStatement(claimed.payload);
      if (!statement || 'reason' in statement) continue;
      const known = Object.entries(PREDICATES).find(([, type]) => type === statement.predicateType);
      evidence.push({
        kind: known?.[0] ?? statement.predicateType,
        ...(claimed?.hint !== undefined && { key: claimed.hint }),
        claims: subjectOf(statement, digest)?.annotations ?? {},
      });
    }
  } catch (error) {
    if (error instanceof RegistryError && error.code === 'OFFLINE') return evidence;
    throw error;
  }
  return evidence;
}

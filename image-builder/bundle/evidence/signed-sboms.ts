// The bills of materials that a trusted key vouches for: those whose digests a signed provenance names.
import type { TrustPolicy, Verdict } from '../../attestation/policy.ts';
import { PREDICATES } from '../../attestation/statement.ts';
import { isRecord, recordsIn } from '../../base/record.ts';
import type { ReadBundleOptions } from '../read/read-options.ts';
import { SPDX } from '../sbom-referrer.ts';
import { withVerified } from './verify.ts';

/**
 * @param policies what else the bundle must satisfy
 * @returns SHA-256 in hex
 * @throws TrustError; RegistryError, BundleError
 */
export async function signedSboms(
  text: string,
  policies: readonly TrustPolicy[],
  options: Omit<ReadBundleOptions, 'trust'>,
): Promise<Set<string>> {
  return await withVerified(
    text,
    policies,
    options,
    async ({ statements }) => new Set(statements.flatMap(sbomsOf)),
  );
}

function sbomsOf({ statement }: Verdict['trusted'][number]): string[] {
  if (statement.predicateType !== PREDICATES.provenance) return [];
  const { runDetails } = statement.predicate;
  const byproducts = isRecord(runDetails) ? runDetails.byproducts : undefined;
  return recordsIn(byproducts).flatMap(({ mediaType, digest }) => {
    const sha256 = isRecord(digest) ? digest.sha256 : undefined;
    return mediaType === SPDX && typeof sha256 === 'string' ? [sha256] : [];
  });
}

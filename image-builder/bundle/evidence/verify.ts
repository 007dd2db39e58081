// Reads all statements about a bundle: who stated what, and whether the policies are satisfied.
import {
  enforce,
  enforceBootTests,
  examine,
  type TrustPolicy,
  type Verdict,
} from '../../attestation/policy.ts';
import { type Origin, originOf, testConfigurationOf } from '../../attestation/predicates.ts';
import { PREDICATES } from '../../attestation/statement.ts';
import type { Image } from '../../oci/image.ts';
import { formatReference, parseReference } from '../../oci/reference.ts';
import { openImage } from '../read/open-image.ts';
import { readBundle } from '../read/read-bundle.ts';
import { withinLimits } from '../read/read-limits.ts';
import type { ReadBundleOptions } from '../read/read-options.ts';
import { findStatements } from './find-statements.ts';
import { withDefaultClaims } from './trust.ts';

/** A statement with a valid signature of a trusted key. */
export interface Vouching {
  /** `signature`, `provenance`, `sbom`, `bootTest`, or the predicate type. */
  kind: string;
  /** Hex SHA-256 of the public key. */
  key: string;
  /** Its claims. */
  claims: Record<string, string>;
  /** Of a provenance: who has built it, and how to read it. */
  origin?: Origin;
  /** Of a boot test: what it was run with. */
  testConfiguration?: string;
  /** Digest of its manifest. */
  statement: string;
}

/** The result of verifying a bundle. */
export interface Verification {
  /** With the digest. */
  image: string;
  trusted: Vouching[];
  /** Statements that do not count, each with the reason. */
  refused: Verdict['refused'];
}

/** A verified bundle, while it is open. */
export interface VerifiedBundle {
  verification: Verification;
  image: Image;
  /** Statements that count, with their predicates. */
  statements: Verdict['trusted'];
}

/**
 * Verifies that a bundle satisfies every policy.
 * @throws TrustError; RegistryError, BundleError
 */
export async function verifyBundle(
  text: string,
  policies: readonly TrustPolicy[],
  options: Omit<ReadBundleOptions, 'trust'>,
): Promise<Verification> {
  return await withVerified(text, policies, options, async ({ verification }) => verification);
}

/**
 * Verifies a bundle, and reads more of it while it is open.
 * @throws TrustError; RegistryError, BundleError
 */
export async function withVerified<Result>(
  text: string,
  policies: readonly TrustPolicy[],
  options: Omit<ReadBundleOptions, 'trust'>,
  use: (bundle: VerifiedBundle) => Promise<Result>,
): Promise<Result> {
  const reference = parseReference(text);
  return withinLimits(options, async (limited) => {
    const { image, close } = await openImage(reference, limited);
    try {
      const name = formatReference({ ...reference, digest: image.digest });
      const found = [];
      const refused: Verdict['refused'] = [];
      const listed = new Set<string>();
      for await (const one of findStatements(image.source, image.digest, undefined, listed))
        if ('problem' in one) refused.push({ name: one.name, reason: one.problem });
        else found.push(one);
      const keys = [
        ...new Map(policies.flatMap((policy) => policy.keys).map((key) => [key.id, key])).values(),
      ];
      for (const policy of policies) {
        const verdict = examine(found, image.digest, policy.keys, listed);
        const rules = withDefaultClaims(policy, reference);
        enforce({ ...verdict, refused: [...refused, ...verdict.refused] }, rules, name, Date.now() / 1000);
        if (!policy.require.includes('bootTest')) continue;
        const { artifacts } = await readBundle(name, limited);
        enforceBootTests(verdict, policy, artifacts.qcows, name);
      }
      const all = examine(found, image.digest, keys, listed);
      const trusted = all.trusted.map(vouchingOf);
      const verification = { image: name, trusted, refused: [...refused, ...all.refused] };
      return await use({ verification, image, statements: all.trusted });
    } finally {
      await close();
    }
  });
}

function vouchingOf({ name, keyId, subject, statement }: Verdict['trusted'][number]): Vouching {
  const testConfiguration = testConfigurationOf(statement);
  const known = Object.entries(PREDICATES).find(([, type]) => type === statement.predicateType);
  return {
    kind: known?.[0] ?? statement.predicateType,
    key: keyId,
    claims: subject.annotations ?? {},
    ...(statement.predicateType === PREDICATES.provenance && { origin: originOf(statement) }),
    ...(statement.predicateType === PREDICATES.bootTest &&
      testConfiguration !== undefined && { testConfiguration }),
    statement: name,
  };
}

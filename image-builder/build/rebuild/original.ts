// The bundle to build again: verified, with the description of its build, and with every digest that its builder signed or
// that follows from a signed one.
import type { TrustedStatement } from '../../attestation/policy.ts';
import { PREDICATES, type Subject } from '../../attestation/statement.ts';
import { readBuildDescription } from '../../bundle/evidence/build-description.ts';
import { type Verification, withVerified } from '../../bundle/evidence/verify.ts';
import type { Digest } from '../../oci/digest.ts';
import type { Manifest } from '../../oci/model.ts';
import { type BuildFacts, buildFactsOf } from './provenance.ts';
import { RebuildError } from './rebuild-error.ts';

/** A bundle that can be built again. */
export interface OriginalBundle {
  verification: Verification;
  facts: BuildFacts;
  /** Hex SHA-256 of the key that has signed the provenance. */
  key: string;
  description: Buffer;
  /** Digests by what they are of: `image`, `layer 1`, `disk node.qcow2`, ... */
  digests: Record<string, string>;
  /** Whether the reference stands for an index of the bundle and its disks. */
  isIndex: boolean;
}

/**
 * Verifies a bundle, and reads what it was built from.
 * @throws TrustError; RebuildError REBUILD_UNDESCRIBED; RegistryError
 */
export async function readOriginal(...request: Request): Promise<OriginalBundle> {
  const [text, policies, options] = request;
  return await withVerified(text, policies, options, async ({ verification, image, statements }) => {
    const provenances = statements.filter(
      ({ statement }) => statement.predicateType === PREDICATES.provenance,
    );
    for (const provenance of provenances) {
      const facts = buildFactsOf(provenance.statement.predicate);
      const description =
        facts && (await readBuildDescription(image.source, image.digest, facts.description));
      if (!facts || !description) continue;
      return {
        verification,
        facts,
        key: provenance.keyId,
        description,
        digests: { ...digestsOf(image.digest, image.manifest), ...signedDigests(provenance, facts) },
        isIndex: image.members.size > 0,
      };
    }
    throw undescribed(verification.image, provenances.length);
  });
}

type Request = Parameters<typeof withVerified> extends [...infer Rest, unknown] ? Rest : never;

function undescribed(image: string, provenances: number): RebuildError {
  return provenances === 0
    ? new RebuildError('REBUILD_UNDESCRIBED', `no trusted key has signed a provenance of ${image}`, {
        hint: 'Build it with spec.build.bundle.attest.provenance and a signing key.',
      })
    : new RebuildError('REBUILD_UNDESCRIBED', `the provenance of ${image} does not lead to what was built`, {
        hint: 'It was made by another builder or an earlier release, it is a disk (give the bundle that has it), or the description was left behind: copy with image-builder push or oras cp -r.',
      });
}

/** @param digest what the reference stands for */
export function digestsOf(digest: Digest, { config, layers }: Manifest): Record<string, string> {
  return {
    image: digest,
    config: config.digest,
    ...Object.fromEntries(layers.map((layer, index) => [`layer ${index + 1}`, layer.digest])),
  };
}

/** Names of disks and bills of materials, as {@link signedDigests} and the build that is compared with them call them. */
export const diskName = (file: string): string => `disk ${file}`;
export const sbomName = (file: string): string => `bill of materials ${file}`;

function signedDigests({ statement }: TrustedStatement, { sboms }: BuildFacts): Record<string, string> {
  const disks = statement.subject.filter((one): one is Subject & { name: string } =>
    Boolean(one.name?.endsWith('.qcow2')),
  );
  return Object.fromEntries([
    ...disks.map(({ name, digest }) => [diskName(name), `sha256:${digest.sha256}`]),
    ...Object.entries(sboms).map(([name, sha256]) => [sbomName(name), `sha256:${sha256}`]),
  ]);
}

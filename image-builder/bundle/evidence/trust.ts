// Whether a bundle is what its reader demands, before anything of it is used.
import { TrustError } from '../../attestation/error.ts';
import {
  enforce,
  examine,
  type FoundStatement,
  type Requirement,
  type TrustPolicy,
  type Verdict,
} from '../../attestation/policy.ts';
import { PREDICATES } from '../../attestation/statement.ts';
import type { DiskCache } from '../../oci/cache.ts';
import type { Digest } from '../../oci/digest.ts';
import type { ImageSource } from '../../oci/image-source.ts';
import type { Reference } from '../../oci/reference.ts';
import { findStatements } from './find-statements.ts';

/** Where a bundle is, and what is believed about it. */
export interface TrustRequest {
  source: ImageSource;
  reference: Reference;
  /** What the reference stands for: an index, or the bundle's manifest. */
  digest: Digest;
  /** Remembers statements between runs. */
  cache?: Pick<DiskCache, 'recall' | 'remember'>;
  /** Seconds since the epoch. */
  now: number;
}

/** A statement in the cache. What it is worth is found out each time. */
interface Remembered {
  name: string;
  /** Base64. */
  content: string;
}

/**
 * Finds the statements that the policy demands, and makes sure that they are there.
 * @throws TrustError; RegistryError when statements cannot be asked for
 */
export async function requireTrust(request: TrustRequest, policy: TrustPolicy): Promise<Verdict> {
  const { reference, digest, cache, now } = request;
  const rules = withDefaultClaims(policy, reference);
  const image = request.source.name;
  const key = JSON.stringify([digest, [...policy.require].sort()]);
  const remembered = await cache?.recall<Remembered[]>('statements', key);
  if (remembered) {
    const verdict = examine(
      remembered.map(({ name, content }) => ({ name, content: Buffer.from(content, 'base64') })),
      digest,
      policy.keys,
    );
    if (satisfies(verdict, rules, image, now)) return verdict;
    // Newer ones may be there.
  }
  const { verdict, used } = await collect(request, rules, image);
  enforce(verdict, rules, image, now);
  await cache?.remember(
    'statements',
    key,
    used.map(({ name, content }): Remembered => ({ name, content: Buffer.from(content).toString('base64') })),
  );
  return verdict;
}

/** Reads statements until they are enough. */
async function collect(
  { source, digest, now }: TrustRequest,
  policy: TrustPolicy,
  image: string,
): Promise<{ verdict: Verdict; used: FoundStatement[] }> {
  const used: FoundStatement[] = [];
  const unusable: Verdict['refused'] = [];
  const judge = (): Verdict => {
    const verdict = examine(used, digest, policy.keys);
    return { ...verdict, refused: [...unusable, ...verdict.refused] };
  };
  const kinds = new Set(policy.require.flatMap((requirement) => KINDS[requirement]));
  // Whoever wants boot tests wants to hear of each that has failed.
  const mayStop = !policy.require.includes('bootTest');
  for await (const found of findStatements(source, digest, kinds)) {
    if ('problem' in found) unusable.push({ name: found.name, reason: found.problem });
    else used.push(found);
    if (mayStop && satisfies(judge(), policy, image, now)) break;
  }
  return { verdict: judge(), used };
}

const KINDS: Record<Requirement, string[]> = {
  signature: [PREDICATES.signature],
  provenance: [PREDICATES.provenance],
  sbom: [PREDICATES.sbom],
  bootTest: [PREDICATES.bootTest],
};

function satisfies(verdict: Verdict, policy: TrustPolicy, image: string, now: number): boolean {
  try {
    enforce(verdict, policy, image, now);
    return true;
  } catch (error) {
    if (error instanceof TrustError) return false;
    throw error;
  }
}

/**
 * A reference by tag is a question that the registry answers: the signature must be for that answer. A digest is none.
 */
export function withDefaultClaims(policy: TrustPolicy, reference: Reference): TrustPolicy {
  if (reference.transport !== 'registry' || reference.digest !== undefined) return policy;
  const { repository, tag = 'latest' } = reference;
  return { ...policy, claims: { repository, tag, ...policy.claims } };
}

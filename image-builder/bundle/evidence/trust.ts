// Checks that a bundle satisfies the policies of its reader, before anything of it is used.
import { TrustError } from '../../attestation/error.ts';
import {
  enforce,
  examine,
  type FoundStatement,
  type Requirement,
  type TrustPolicy,
  type Verdict,
} from '../../attestation/policy.ts';
import { sbomManifestsOf } from '../../attestation/predicates.ts';
import { PREDICATES } from '../../attestation/statement.ts';
import type { DiskCache } from '../../oci/cache.ts';
import type { Digest } from '../../oci/digest.ts';
import type { ImageSource } from '../../oci/image-source.ts';
import type { Reference } from '../../oci/reference.ts';
import { findStatements } from './find-statements.ts';

/** Where a bundle is, and what is known about it. */
export interface TrustRequest {
  source: ImageSource;
  reference: Reference;
  /** What the reference resolves to: an index, or the bundle's manifest. */
  digest: Digest;
  /** Keeps statements between runs. */
  cache?: Pick<DiskCache, 'recall' | 'remember'>;
  /** Seconds since the epoch. */
  now: number;
}

/** The cached statements of a bundle. They are verified again at each use. */
interface Remembered {
  /** Content, in base64. */
  statements: { name: string; content: string }[];
  /** Digests of bills of materials that were listed. */
  sboms: string[];
}

/**
 * Finds the statements that the policy demands.
 * @throws TrustError if one is missing or wrong; RegistryError if the registry cannot list them
 */
export async function requireTrust(request: TrustRequest, policy: TrustPolicy): Promise<Verdict> {
  const { reference, digest, cache, now } = request;
  const rules = withDefaultClaims(policy, reference);
  const image = request.source.name;
  const key = JSON.stringify([digest, [...policy.require].sort(), [...kindsFor(policy)].sort(), FORMAT]);
  const remembered = await cache?.recall<Remembered>('statements', key);
  if (remembered) {
    const verdict = examine(
      remembered.statements.map(({ name, content }) => ({ name, content: Buffer.from(content, 'base64') })),
      digest,
      policy.keys,
      new Set(remembered.sboms),
    );
    if (satisfies(verdict, rules, image, now)) return verdict;
    // The registry may have newer ones.
  }
  const { verdict, used, listed } = await collect(request, rules, image);
  enforce(verdict, rules, image, now);
  const sboms = verdict.trusted
    .flatMap(({ statement }) => sbomManifestsOf(statement))
    .filter((manifest) => listed.has(manifest));
  const statements = used.map(({ name, content }) => ({
    name,
    content: Buffer.from(content).toString('base64'),
  }));
  await cache?.remember('statements', key, { statements, sboms } satisfies Remembered);
  return verdict;
}

/** Reads statements until they are enough. */
async function collect(
  { source, digest, now }: TrustRequest,
  policy: TrustPolicy,
  image: string,
): Promise<{ verdict: Verdict; used: FoundStatement[]; listed: ReadonlySet<string> }> {
  const used: FoundStatement[] = [];
  const listed = new Set<string>();
  const unusable: Verdict['refused'] = [];
  const judge = (): Verdict => {
    const verdict = examine(used, digest, policy.keys, listed);
    return { ...verdict, refused: [...unusable, ...verdict.refused] };
  };
  // A policy that demands boot tests must see every one that failed.
  const kinds = kindsFor(policy);
  const mayStop = !kinds.has(PREDICATES.bootTest);
  const read = async (kinds: ReadonlySet<string>) => {
    for await (const found of findStatements(source, digest, kinds, listed)) {
      // Statements without a kind are yielded for every kind.
      if ([...used, ...unusable].some(({ name }) => name === found.name)) continue;
      if ('problem' in found) unusable.push({ name: found.name, reason: found.problem });
      else used.push(found);
      if (mayStop && satisfies(judge(), policy, image, now)) return;
    }
  };
  await read(kinds);
  // Bills of materials are read, half a megabyte for each disk, only where no provenance names them.
  if (policy.require.includes('sbom') && !judge().hasNamedSboms) await read(new Set([PREDICATES.sbom]));
  return { verdict: judge(), used, listed };
}

/** The kinds of statements that are read first. */
function kindsFor({ require, builder, buildType, testConfiguration }: TrustPolicy): Set<string> {
  const asksForOrigin = builder !== undefined || buildType !== undefined;
  return new Set([
    ...require.map((requirement) => KINDS[requirement]),
    ...(asksForOrigin ? [PREDICATES.provenance] : []),
    ...(testConfiguration === undefined ? [] : [PREDICATES.bootTest]),
  ]);
}

const KINDS: Record<Requirement, string> = {
  signature: PREDICATES.signature,
  provenance: PREDICATES.provenance,
  sbom: PREDICATES.provenance,
  bootTest: PREDICATES.bootTest,
};

/** Changes whenever the policy would keep other statements. */
const FORMAT = 3;

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
 * What a tag means is decided by the registry, so the signature must claim that tag. A digest leaves nothing to decide.
 */
export function withDefaultClaims(policy: TrustPolicy, reference: Reference): TrustPolicy {
  if (reference.transport !== 'registry' || reference.digest !== undefined) return policy;
  const { repository, tag = 'latest' } = reference;
  return { ...policy, claims: { repository, tag, ...policy.claims } };
}

// Whether statements about a bundle are what its reader demands. Pure: the same statements, policy and time give the same
// verdict. It is computed at each read, so that a key that is removed counts no more at once.
import { openBundle } from './envelope.ts';
import { TrustError, type TrustErrorCode } from './error.ts';
import type { TrustedKey } from './keys.ts';
import {
  type BootedDisk,
  bootedDisksOf,
  hasPassed,
  type Origin,
  originOf,
  sbomManifestsOf,
  testConfigurationOf,
} from './predicates.ts';
import { PREDICATES, parseStatement, type Statement, type Subject, subjectOf } from './statement.ts';

/** What a reader may demand. */
export type Requirement = 'signature' | 'provenance' | 'sbom' | 'bootTest';

/** Whom a reader believes, and what they must have said. */
export interface TrustPolicy {
  /** Any of them may have signed. */
  keys: readonly TrustedKey[];
  require: readonly Requirement[];
  /** How many different keys must have signed the bundle. */
  threshold: number;
  /** What a signature must claim, by name. */
  claims: Readonly<Record<string, string>>;
  /** Oldest signature that counts, in seconds; default: any. */
  maxAge?: number;
  /** `builder.id` that the provenance must name; default: any. */
  builder?: string;
  /** `buildType` that the provenance must name; default: any. */
  buildType?: string;
  /** Digest of what boot tests must have been run with; default: anything. */
  testConfiguration?: string;
}

/** A statement as it was found. */
export interface FoundStatement {
  /** For messages: the digest of its manifest. */
  name: string;
  /** The sigstore bundle. */
  content: Uint8Array;
}

/** A statement that a trusted key has made about the bundle. */
export interface TrustedStatement {
  name: string;
  keyId: string;
  subject: Subject;
  statement: Statement;
}

/** What was found out. */
export interface Verdict {
  /** In the order in which they were found. */
  trusted: TrustedStatement[];
  /** Statements that count for nothing, and why. */
  refused: { name: string; reason: string }[];
  /** Disks of which a trusted key says that they have booted. */
  bootedDisks: readonly BootedDisk[];
  /** Whether bills of materials that a trusted provenance names lie beside the bundle. */
  hasNamedSboms: boolean;
}

/** The clock of a signer may be ahead by so much; seconds. */
const CLOCK_SKEW = 300;

/**
 * Sorts statements into those that count and those that do not.
 * @param listed digests of all manifests that refer to the bundle
 */
export function examine(
  found: readonly FoundStatement[],
  digest: string,
  keys: readonly TrustedKey[],
  listed: ReadonlySet<string> = new Set(),
): Verdict {
  const verdict = { trusted: [] as TrustedStatement[], refused: [] as Verdict['refused'] };
  for (const { name, content } of found) {
    const examined = examineOne(content, digest, keys);
    if ('reason' in examined) verdict.refused.push({ name, reason: examined.reason });
    else verdict.trusted.push({ name, ...examined });
  }
  return {
    ...verdict,
    bootedDisks: verdict.trusted.flatMap(({ statement }) => bootedDisksOf(statement)),
    hasNamedSboms: verdict.trusted.some(({ statement }) => namesSboms(statement, listed)),
  };
}

function examineOne(content: Uint8Array, digest: string, keys: readonly TrustedKey[]) {
  const opened = openBundle(content, keys);
  if ('reason' in opened) return opened;
  const statement = parseStatement(opened.payload);
  if ('reason' in statement) return statement;
  const subject = subjectOf(statement, digest);
  if (!subject) return { reason: 'is about something else' };
  return { keyId: opened.keyId, subject, statement };
}

/**
 * Makes sure that a bundle has what is demanded.
 * @param now seconds since the epoch
 * @throws TrustError, naming every statement that was refused
 */
export function enforce(verdict: Verdict, policy: TrustPolicy, image: string, now: number): void {
  const told = verdict.refused.map(({ name, reason }) => `${name} ${reason}`);
  const fail = (code: TrustErrorCode, problem: string, hint: string): never => {
    throw new TrustError(code, `${image} is not trusted: ${problem}`, { hint, output: told });
  };
  const ofType = (type: string) =>
    verdict.trusted.filter(({ statement }) => statement.predicateType === type);

  // Whatever is demanded: when a trusted key says that a bundle does not boot, that is believed.
  const failed = ofType(PREDICATES.bootTest).find(({ statement }) => !hasPassed(statement));
  if (failed)
    fail('TRUST_BOOT_TEST', `${failed.name} says that its boot test has failed`, 'Take another bundle.');

  for (const requirement of policy.require) {
    const statements = ofType(PREDICATES[requirement]);
    if (statements.length > 0 || (requirement === 'sbom' && verdict.hasNamedSboms)) continue;
    const code = told.length > 0 ? 'TRUST_REFUSED' : 'TRUST_MISSING';
    fail(
      code,
      `no trusted key has made a statement of the kind ${requirement} about it`,
      MISSING_HINTS[requirement],
    );
  }
  if (policy.require.includes('signature')) {
    const problems: string[] = [];
    const signers = new Set<string>();
    for (const { name, keyId, subject } of ofType(PREDICATES.signature)) {
      const problem = claimProblem(subject, policy, now);
      if (problem === undefined) signers.add(keyId);
      else problems.push(`${name} ${problem}`);
    }
    told.push(...problems);
    if (signers.size < policy.threshold) {
      const problem = `${signers.size} of ${policy.threshold} keys that are needed have signed it as demanded`;
      const code = problems.length > 0 ? 'TRUST_CLAIM_MISMATCH' : 'TRUST_REFUSED';
      fail(code, problem, 'Sign it with what is demanded: image-builder sign REF --key FILE.');
    }
  }
  const originProblem = problemOfOrigin(ofType(PREDICATES.provenance), policy, told);
  if (originProblem) fail('TRUST_CLAIM_MISMATCH', originProblem, 'Check trust.builder and trust.buildType.');
  const testProblem = problemOfTests(ofType(PREDICATES.bootTest), policy, told);
  if (testProblem)
    fail('TRUST_BOOT_TEST', testProblem, 'image-builder verify shows what boot tests were run with.');
}

/** @param told gets what was found instead */
function problemOfOrigin(
  statements: readonly TrustedStatement[],
  { builder, buildType }: TrustPolicy,
  told: string[],
): string | undefined {
  const origins = statements.map(({ name, statement }) => ({ name, ...originOf(statement) }));
  const isWanted = (one: Origin) =>
    (builder ?? one.builder) === one.builder && (buildType ?? one.buildType) === one.buildType;
  const wanted = describeOrigin({
    ...(builder !== undefined && { builder }),
    ...(buildType !== undefined && { buildType }),
  });
  if (wanted === '' || origins.some(isWanted)) return undefined;
  told.push(...origins.map((one) => `${one.name} names ${describeOrigin(one) || 'neither of them'}`));
  return `no trusted provenance names ${wanted}`;
}

const describeOrigin = ({ builder, buildType }: Origin): string =>
  [
    ...(builder === undefined ? [] : [`the builder ${builder}`]),
    ...(buildType === undefined ? [] : [`the build type ${buildType}`]),
  ].join(' and ');

/** @param told gets what was found instead */
function problemOfTests(
  statements: readonly TrustedStatement[],
  { testConfiguration }: TrustPolicy,
  told: string[],
): string | undefined {
  if (testConfiguration === undefined) return undefined;
  const tests = statements.map(({ name, statement }) => ({ name, found: testConfigurationOf(statement) }));
  if (tests.some(({ found }) => found === testConfiguration)) return undefined;
  told.push(...tests.map(({ name, found }) => `${name} was run with ${found ?? 'no single configuration'}`));
  return `no trusted boot test was run with the configuration ${testConfiguration}`;
}

function namesSboms(statement: Statement, listed: ReadonlySet<string>): boolean {
  const manifests = sbomManifestsOf(statement);
  return manifests.length > 0 && manifests.every((manifest) => listed.has(manifest));
}

const MISSING_HINTS: Record<Requirement, string> = {
  signature:
    'Sign it: image-builder sign REF --key FILE, or cosign sign --key. Copies that leave signatures behind: image-builder push, oras cp -r.',
  provenance: 'Build it with spec.build.bundle.attest.provenance and a signing key.',
  sbom: 'Build it with spec.build.bundle.attest.sbom and a signing key.',
  bootTest: 'Build it with a boot test, spec.build.bundle.attest.bootTest and a signing key.',
};

/**
 * Makes sure that each disk has booted; the disks are known only once the bundle was read.
 * @param disks by name, with the SHA-256 of each in hex
 * @throws TrustError TRUST_BOOT_TEST
 */
export function enforceBootTests(
  { bootedDisks }: Verdict,
  { require, testConfiguration }: TrustPolicy,
  disks: Readonly<Record<string, { sha256?: string }>>,
  image: string,
): void {
  if (!require.includes('bootTest')) return;
  const counting = bootedDisks.filter(
    ({ configuration }) => testConfiguration === undefined || configuration === testConfiguration,
  );
  const booted = new Set(counting.map(({ sha256 }) => sha256));
  const untested = Object.entries(disks).filter(
    ([, { sha256 }]) => sha256 === undefined || !booted.has(sha256),
  );
  if (untested.length === 0) return;
  const names = untested.map(([name]) => name).join(', ');
  throw new TrustError(
    'TRUST_BOOT_TEST',
    `${image} is not trusted: no trusted key says that ${names} has booted${
      testConfiguration === undefined ? '' : ` with the configuration ${testConfiguration}`
    }`,
    {
      hint: MISSING_HINTS.bootTest,
    },
  );
}

/** Why a signature is not the one that is demanded, in words that follow its name. */
function claimProblem(
  { annotations = {} }: Subject,
  { claims, maxAge }: TrustPolicy,
  now: number,
): string | undefined {
  for (const [name, wanted] of Object.entries(claims)) {
    const claimed = Object.hasOwn(annotations, name) ? annotations[name] : undefined;
    if (claimed !== wanted)
      return claimed === undefined
        ? `claims no ${name}, expected ${wanted}`
        : `is for the ${name} ${JSON.stringify(claimed)}, expected ${JSON.stringify(wanted)}`;
  }
  if (maxAge === undefined) return undefined;
  const { created } = annotations;
  // RFC 3339 in UTC, as we write it: other notations mean other things to other readers.
  const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z$/.test(created ?? '')
    ? Date.parse(created ?? '') / 1000
    : Number.NaN;
  if (Number.isNaN(time)) return 'does not say when it was made';
  if (time > now + CLOCK_SKEW) return `was made in the future, at ${created}`;
  if (now - time > maxAge) return `was made at ${created}, too long ago`;
  return undefined;
}

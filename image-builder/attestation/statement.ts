// in-toto statements about bundles (https://github.com/in-toto/attestation/tree/main/spec/v1): what is said, of what.

import { isRecord } from '../base/record.ts';
import { parseStrictJson } from './strict-json.ts';

const STATEMENT_V1 = 'https://in-toto.io/Statement/v1';
/** What `cosign attest` writes. */
const STATEMENT_V01 = 'https://in-toto.io/Statement/v0.1';

/** Types of what is said. */
export const PREDICATES = {
  /** That somebody stands behind it; what `cosign sign` makes. */
  signature: 'https://sigstore.dev/cosign/sign/v1',
  /** https://slsa.dev/spec/v1.0/provenance */
  provenance: 'https://slsa.dev/provenance/v1',
  /** https://github.com/in-toto/attestation/blob/main/spec/predicates/spdx.md */
  sbom: 'https://spdx.dev/Document',
  /** https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md */
  bootTest: 'https://in-toto.io/attestation/test-result/v0.1',
} as const;

/** Annotation of a byproduct in a provenance: digest of the manifest by which a bill of materials refers to the bundle. */
export const SBOM_MANIFEST_ANNOTATION = 'org.airshipit.image-builder.manifest';

/** What a statement is about. */
export interface Subject {
  /** Of a file, or the repository; a signature has none, as those of cosign: its claims name the repository. */
  name?: string;
  /** By algorithm, in hex. */
  digest: Record<string, string>;
  /** Claims beside it; what `cosign sign -a` sets. */
  annotations?: Record<string, string>;
}

/** A statement. */
export interface Statement {
  subject: Subject[];
  predicateType: string;
  predicate: Record<string, unknown>;
}

/** The statement as bytes, to be signed. */
export function writeStatement({ subject, predicateType, predicate }: Statement): Buffer {
  return Buffer.from(JSON.stringify({ _type: STATEMENT_V1, subject, predicateType, predicate }));
}

/**
 * Reads the payload of an envelope that a trusted key has signed.
 * @returns what it says; or why it says nothing, in words that follow "it"
 */
export function parseStatement(payload: Uint8Array): Statement | { reason: string } {
  let document: unknown;
  try {
    document = parseStrictJson(payload);
  } catch (error) {
    return { reason: `has a statement that is not clear: ${(error as Error).message}` };
  }
  if (!isRecord(document)) return { reason: 'has a statement that is no JSON object' };
  const { _type, subject, predicateType, predicate = {} } = document;
  if (_type !== STATEMENT_V1 && _type !== STATEMENT_V01)
    return { reason: `has a statement of an unknown type, ${JSON.stringify(_type)?.slice(0, 80)}` };
  if (typeof predicateType !== 'string') return { reason: 'does not say what kind of statement it has' };
  if (!isRecord(predicate)) return { reason: 'has a predicate that is no JSON object' };
  if (!Array.isArray(subject) || subject.length === 0)
    return { reason: 'is about nothing: it has no subject' };
  return { subject: subject.map(parseSubject), predicateType, predicate };
}

/** What is not text is dropped: it matches nothing. */
function parseSubject(value: unknown): Subject {
  const { name, digest, annotations } = isRecord(value) ? value : {};
  return {
    ...(typeof name === 'string' && { name }),
    digest: texts(digest),
    ...(isRecord(annotations) && { annotations: texts(annotations) }),
  };
}

function texts(value: unknown): Record<string, string> {
  const entries = isRecord(value) ? Object.entries(value) : [];
  return Object.fromEntries(entries.filter((one): one is [string, string] => typeof one[1] === 'string'));
}

/** The subject with a digest such as `sha256:...`; other spellings of the same digest do not count. */
export function subjectOf({ subject }: Statement, digest: string): Subject | undefined {
  const colon = digest.indexOf(':');
  const [algorithm, hex] = [digest.slice(0, colon), digest.slice(colon + 1)];
  return subject.find((one) => Object.hasOwn(one.digest, algorithm) && one.digest[algorithm] === hex);
}

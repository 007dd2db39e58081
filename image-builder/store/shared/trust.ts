// Who may say what the result of a key is. An entry's record names its key and the digest of every file, so one Ed25519
// signature over the record's digest (RFC 8032) binds the content to the key; nothing of it can be exchanged.

import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import type { Origin } from '../origin.ts';

/** Whose results are taken. */
export type TrustPolicy =
  /** Whoever may write to the repository. */
  | { kind: 'registry' }
  /** Holders of the private halves of these keys; without any, nobody. */
  | { kind: 'keys'; keys: readonly KeyObject[] };

/** A signature as it stands beside a record. */
export interface Signature {
  /** See {@link keyId}. */
  key: string;
  /** Base64. */
  signature: string;
}

/**
 * Who vouches for a record, or why it is not believed.
 * @param repository that it lies in
 */
export function judge(
  policy: TrustPolicy,
  repository: string,
  recordDigest: string,
  signature: Signature | undefined,
): { origin: Origin } | { reason: string } {
  if (policy.kind === 'registry') return { origin: `registry:${repository}` };
  if (policy.keys.length === 0) return { reason: 'no key is trusted' };
  if (!signature) return { reason: 'it is not signed' };
  const key = policy.keys.find((one) => keyId(one) === signature.key);
  if (!key) return { reason: `it is signed by the key ${signature.key.slice(0, 16)}, which is not trusted` };
  const bytes = Buffer.from(signature.signature, 'base64');
  if (!verify(null, statement(recordDigest), key, bytes)) return { reason: 'its signature is invalid' };
  return { origin: `key:${keyId(key)}` };
}

/** Signs a record by its digest (`sha256:...`). */
export function signRecord(recordDigest: string, privateKey: KeyObject): Signature {
  const signature = sign(null, statement(recordDigest), privateKey).toString('base64');
  return { key: keyId(createPublicKey(privateKey)), signature };
}

/** SHA-256 of the key (DER, SubjectPublicKeyInfo) in hex. */
export function keyId(publicKey: KeyObject): string {
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex');
}

/** A public key in PEM, or the base64 between its lines; undefined when it is no Ed25519 key. */
export function parsePublicKey(text: string): KeyObject | undefined {
  const pem = text.includes('-----')
    ? text
    : `-----BEGIN PUBLIC KEY-----\n${text.trim()}\n-----END PUBLIC KEY-----\n`;
  return ed25519(() => createPublicKey(pem));
}

/** A private key in PEM; undefined when it is no Ed25519 key. */
export function parsePrivateKey(pem: string): KeyObject | undefined {
  return ed25519(() => createPrivateKey(pem));
}

function ed25519(parse: () => KeyObject): KeyObject | undefined {
  try {
    const key = parse();
    return key.asymmetricKeyType === 'ed25519' ? key : undefined;
  } catch {
    return undefined;
  }
}

/** A signature for something else is none for this. */
function statement(recordDigest: string): Buffer {
  return Buffer.from(`image-builder store entry v1\n${recordDigest}\n`);
}

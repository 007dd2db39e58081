// Keys that sign statements about bundles, and that are trusted to: P-256 (ECDSA with SHA-256, what cosign makes) and
// Ed25519 (RFC 8032). Nothing else: every further algorithm is one more way to be deceived.
import { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { TrustError } from './error.ts';

/** A public key that is trusted. */
export interface TrustedKey {
  key: KeyObject;
  /** SHA-256 of the key (DER, SubjectPublicKeyInfo) in hex. */
  id: string;
}

/** A private key with its public half. */
export interface SigningKey {
  key: KeyObject;
  publicKey: TrustedKey;
}

/**
 * A public key in PEM, or the base64 between its lines.
 * @param where the field or variable that it stands in, for errors
 * @throws TrustError TRUST_KEY_UNUSABLE
 */
export function parseTrustedKey(text: string, where: string): TrustedKey {
  if (text.includes('PRIVATE KEY'))
    throw unusable(where, 'is a private key', 'Take it out at once, and put its public half there.');
  const isPem = text.includes('-----');
  const pem = isPem ? text : `-----BEGIN PUBLIC KEY-----\n${text.trim()}\n-----END PUBLIC KEY-----\n`;
  const plain = plainKey(pem);
  if (plain) return plain;
  let key: KeyObject;
  try {
    key = createPublicKey(pem);
  } catch (cause) {
    throw unusable(where, 'is no public key in PEM', PUBLIC_HALF, cause);
  }
  return accepted(key, where);
}

/** What comes before the point of a P-256 key that names its curve and does not compress the point (RFC 5480, section 2). */
const P256_PREFIX = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d03010703420004', 'hex');
const P256_LENGTH = 91;

/**
 * A P-256 key in the form in which OpenSSL writes it, so that its identity can be computed without writing it again, which
 * takes as long as checking a signature. OpenSSL checks the point.
 */
function plainKey(pem: string): TrustedKey | undefined {
  const [, body] =
    /^\s*-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----\s*$/.exec(pem) ?? [];
  const der = Buffer.from(body ?? '', 'base64');
  if (der.length !== P256_LENGTH || !der.subarray(0, P256_PREFIX.length).equals(P256_PREFIX))
    return undefined;
  try {
    return { key: createPublicKey({ key: der, format: 'der', type: 'spki' }), id: idOf(der) };
  } catch {
    // The slow path says what is wrong with it.
    return undefined;
  }
}

const idOf = (der: Uint8Array): string => createHash('sha256').update(der).digest('hex');

/**
 * A private key in PEM (PKCS#8 or SEC 1).
 * @param passphrase of an encrypted one
 * @throws TrustError TRUST_KEY_UNUSABLE; nothing of the key is in it
 */
export function parseSigningKey(pem: string, passphrase: string | undefined, where: string): SigningKey {
  if (pem.includes('SIGSTORE PRIVATE KEY'))
    throw unusable(where, 'is encrypted in a format of cosign’s own', MAKE_KEY);
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: pem, ...(passphrase !== undefined && { passphrase }) });
  } catch {
    // OpenSSL's reason says nothing that helps, and is best not shown beside a secret.
    const encrypted = /ENCRYPTED/.test(pem);
    const problem = encrypted
      ? 'is encrypted, and the passphrase does not open it'
      : 'is no private key in PEM';
    throw unusable(where, problem, encrypted ? `Set ${PASSPHRASE_VARIABLE}.` : MAKE_KEY);
  }
  return { key, publicKey: accepted(createPublicKey(key), where) };
}

/** Variable of the environment with the passphrase of the signing key. */
export const PASSPHRASE_VARIABLE = 'IMAGE_BUILDER_SIGNING_PASSPHRASE';

const MAKE_KEY = 'Make one: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem.';
const PUBLIC_HALF = 'Print it: openssl pkey -in key.pem -pubout.';

function accepted(key: KeyObject, where: string): TrustedKey {
  const type = key.asymmetricKeyType;
  const curve = key.asymmetricKeyDetails?.namedCurve;
  if (type !== 'ed25519' && !(type === 'ec' && curve === 'prime256v1'))
    throw unusable(
      where,
      `is a key for ${curve ?? type ?? 'something else'}, expected P-256 or Ed25519`,
      MAKE_KEY,
    );
  const der = key.export({ type: 'spki', format: 'der' });
  if (type === 'ed25519' && isLowOrder(der.subarray(-32)))
    throw unusable(where, 'is an Ed25519 key that anybody can sign for', MAKE_KEY);
  return { key, id: idOf(der) };
}

/** Points of order 8 and less, with the encodings beyond the field, without the sign (RFC 7748, section 6; RFC 8032, 5.1.7). */
const LOW_ORDER = [
  '00'.repeat(32),
  `01${'00'.repeat(31)}`,
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  `ec${'ff'.repeat(30)}7f`,
  `ed${'ff'.repeat(30)}7f`,
  `ee${'ff'.repeat(30)}7f`,
];

function isLowOrder(point: Uint8Array): boolean {
  const unsigned = Buffer.from(point);
  unsigned[31] = (unsigned[31] ?? 0) & 0x7f;
  return LOW_ORDER.includes(unsigned.toString('hex'));
}

function unusable(where: string, problem: string, hint: string, cause?: unknown): TrustError {
  return new TrustError('TRUST_KEY_UNUSABLE', `${where} ${problem}`, {
    hint,
    ...(cause !== undefined && { cause }),
  });
}

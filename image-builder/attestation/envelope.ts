// Signed statements as cosign 3 writes them: a DSSE envelope (https://github.com/secure-systems-lab/dsse) in a sigstore
// bundle v0.3 (https://github.com/sigstore/protobuf-specs), signed by a key of one's own. No certificates, no
// transparency log: nothing but the key is needed to check one.
import { sign, verify } from 'node:crypto';
import { isRecord } from '../base/record.ts';
import type { SigningKey, TrustedKey } from './keys.ts';
import { parseStrictJson } from './strict-json.ts';

/** Media type of a bundle, and the artifact type of its manifest. */
export const SIGSTORE_BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
const ANY_BUNDLE = /^application\/vnd\.dev\.sigstore\.bundle(?:\.v0\.\d+\+json|\+json;version=0\.\d+)$/;

/** DSSE's type of in-toto statements. */
const PAYLOAD_TYPE = 'application/vnd.in-toto+json';

/** Signs a statement; the bundle as JSON. */
export function signStatement(payload: Uint8Array, { key, publicKey }: SigningKey): Buffer {
  const signature = sign(hashOf({ key }), preAuthenticationEncoding(payload), key);
  const bundle = {
    mediaType: SIGSTORE_BUNDLE,
    verificationMaterial: { publicKey: { hint: Buffer.from(publicKey.id, 'hex').toString('base64') } },
    dsseEnvelope: {
      payload: Buffer.from(payload).toString('base64'),
      payloadType: PAYLOAD_TYPE,
      // Exactly one signature, as cosign expects; another signer makes another bundle.
      signatures: [{ sig: signature.toString('base64') }],
    },
  };
  return Buffer.from(JSON.stringify(bundle));
}

/**
 * The payload of a bundle, if one of the keys has signed it.
 * @returns the key's id; or why not, in words that follow "it"
 */
export function openBundle(
  content: Uint8Array,
  keys: readonly TrustedKey[],
): { payload: Buffer; keyId: string } | { reason: string } {
  const parsed = parseBundle(content);
  if ('reason' in parsed) return parsed;
  const signed = preAuthenticationEncoding(parsed.payload);
  // The hint is not looked at: it is not signed.
  const key = keys.find((one) => isSignedBy(one, signed, parsed.signature));
  if (key) return { payload: parsed.payload, keyId: key.id };
  const by = parsed.hint === undefined ? '' : `, by its own account the key ${parsed.hint.slice(0, 16)}`;
  return { reason: `is not signed by a trusted key${by}` };
}

/** The payload of a bundle and whose key it names, for showing: nobody has checked it. */
export function claimsIn(content: Uint8Array): { payload: Buffer; hint?: string } | undefined {
  const parsed = parseBundle(content);
  return 'reason' in parsed ? undefined : parsed;
}

function isSignedBy(key: TrustedKey, data: Uint8Array, signature: Uint8Array): boolean {
  try {
    return verify(hashOf(key), data, key.key, signature);
  } catch {
    return false;
  }
}

/** Ed25519 hashes by itself. */
const hashOf = ({ key }: Pick<TrustedKey, 'key'>): 'sha256' | null =>
  key.asymmetricKeyType === 'ed25519' ? null : 'sha256';

/** What is signed: type and payload with their lengths, so that neither can be taken for the other. */
function preAuthenticationEncoding(payload: Uint8Array): Buffer {
  const type = Buffer.from(PAYLOAD_TYPE);
  return Buffer.concat([Buffer.from(`DSSEv1 ${type.length} ${PAYLOAD_TYPE} ${payload.length} `), payload]);
}

interface Parsed {
  payload: Buffer;
  signature: Buffer;
  /** Whose key it claims to be, in hex. */
  hint?: string;
}

/** Unchecked but for its form. */
function parseBundle(content: Uint8Array): Parsed | { reason: string } {
  let document: unknown;
  try {
    document = parseStrictJson(content);
  } catch (error) {
    return { reason: `is no JSON: ${(error as Error).message}` };
  }
  const { mediaType, verificationMaterial, dsseEnvelope } = fieldsOf(document);
  if (typeof mediaType !== 'string' || !ANY_BUNDLE.test(mediaType))
    return { reason: 'is no sigstore bundle' };
  const material = fieldsOf(verificationMaterial);
  if (material.certificate !== undefined || material.x509CertificateChain !== undefined)
    return { reason: 'is signed by a certificate, and keys are trusted here' };
  if (dsseEnvelope === undefined) return { reason: 'has no statement, only a signature of some bytes' };
  const { payload, payloadType, signatures } = fieldsOf(dsseEnvelope);
  if (payloadType !== PAYLOAD_TYPE) return { reason: 'signs something else than a statement' };
  if (!Array.isArray(signatures) || signatures.length !== 1)
    return { reason: `has ${Array.isArray(signatures) ? signatures.length : 'no'} signatures, expected one` };
  const [bytes, signature] = [fromBase64(payload), fromBase64(fieldsOf(signatures[0]).sig)];
  if (!bytes || !signature) return { reason: 'is damaged: payload or signature is no base64' };
  const hint = fromBase64(fieldsOf(material.publicKey).hint)?.toString('hex');
  return { payload: bytes, signature, ...(hint && { hint }) };
}

/** Strictly: other readers stop where Node's decoder goes on. */
function fromBase64(text: unknown): Buffer | undefined {
  if (typeof text !== 'string' || text === '') return undefined;
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

function fieldsOf(value: unknown): Record<string, unknown> {
  return isRecord(value) ? value : {};
}

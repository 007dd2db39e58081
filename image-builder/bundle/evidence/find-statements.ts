// Finds the statements about a bundle that a reader may want, with as few requests as its registry allows: of the list
// only those whose annotation names a wanted kind, and last those whose annotation says nothing (cosign 3.1 without a
// referrers API). An annotation is a hint: what a statement says is in its signed payload.
import { SIGSTORE_BUNDLE } from '../../attestation/envelope.ts';
import { TrustError } from '../../attestation/error.ts';
import type { FoundStatement } from '../../attestation/policy.ts';
import { PREDICATES } from '../../attestation/statement.ts';
import type { Digest } from '../../oci/digest.ts';
import { RegistryError } from '../../oci/http/registry-error.ts';
import type { ImageSource } from '../../oci/image-source.ts';
import type { Descriptor } from '../../oci/model.ts';
import { referrerContentOf, referrerManifestOf } from '../../oci/referrers/read.ts';
import { EMPTY_CONFIG } from '../../oci/referrers/referrer.ts';
import { PREDICATE_TYPE_ANNOTATION } from './statement-referrer.ts';

/** More statements than this about one bundle are taken for a flood. */
const MOST = 32;
/** Bytes of a statement; of one that has a bill of materials in it. */
const LIMIT = 1024 * 1024;
const SBOM_LIMIT = 16 * 1024 * 1024;

/** A statement, or the reason why it could not be read. */
export type Found = FoundStatement | { name: string; problem: string };

/**
 * Yields statements about a manifest as they are found, so that a caller can stop once it has enough.
 * @param kinds predicate types that are wanted; undefined: all
 * @param listed gets the digests of everything that is listed, as far as the list was read
 * @throws TrustError TRUST_TOO_MANY; RegistryError if the registry does not answer, which must not be mistaken for "none"
 */
export async function* findStatements(
  source: ImageSource,
  digest: Digest,
  kinds: ReadonlySet<string> | undefined,
  listed: Set<string> = new Set(),
): AsyncGenerator<Found> {
  const untold: Descriptor[] = [];
  let count = 0;
  const read = async (descriptor: Descriptor): Promise<Found | undefined> => {
    count += 1;
    if (count > MOST)
      throw new TrustError('TRUST_TOO_MANY', `there are more than ${MOST} statements about ${source.name}`, {
        hint: 'Delete what does not belong there.',
      });
    return await readStatement(source, descriptor, kinds);
  };
  for await (const descriptor of source.referrers?.(digest) ?? []) {
    listed.add(descriptor.digest);
    const { artifactType = '', annotations } = descriptor;
    if (artifactType !== SIGSTORE_BUNDLE && artifactType !== '' && artifactType !== EMPTY_CONFIG.mediaType)
      continue;
    const kind = annotations?.[PREDICATE_TYPE_ANNOTATION];
    if (kind === undefined) untold.push(descriptor);
    else if (!kinds || kinds.has(kind)) {
      const found = await read(descriptor);
      if (found) yield found;
    }
  }
  for (const descriptor of untold) {
    const found = await read(descriptor);
    if (found) yield found;
  }
}

/** @returns undefined for anything that is not a wanted statement */
async function readStatement(
  source: ImageSource,
  descriptor: Descriptor,
  kinds: ReadonlySet<string> | undefined,
): Promise<Found | undefined> {
  const name = descriptor.digest;
  try {
    const manifest = await referrerManifestOf(source, descriptor);
    const { artifactType = manifest.config.mediaType, layers } = manifest;
    if (artifactType !== SIGSTORE_BUNDLE && layers[0]?.mediaType !== SIGSTORE_BUNDLE) return undefined;
    const kind = manifest.annotations?.[PREDICATE_TYPE_ANNOTATION];
    if (kinds && kind !== undefined && !kinds.has(kind)) return undefined;
    const limit = kind === PREDICATES.sbom ? SBOM_LIMIT : LIMIT;
    return { name, content: await referrerContentOf(source, manifest, limit, 'it') };
  } catch (error) {
    // An unusable statement proves nothing; a registry that does not answer is an error.
    if (error instanceof RegistryError && UNUSABLE.has(error.code))
      return { name, problem: `cannot be used: ${error.message}` };
    throw error;
  }
}

const UNUSABLE = new Set([
  'DIGEST_MISMATCH',
  'TOO_LARGE',
  'INVALID_MANIFEST',
  'UNSUPPORTED_MEDIA_TYPE',
  'NOT_FOUND',
]);

// Makes statements about a bundle in a registry, a layout or an archive, and attaches them to it.
import { signStatement } from '../../attestation/envelope.ts';
import type { SigningKey } from '../../attestation/keys.ts';
import { examine } from '../../attestation/policy.ts';
import { PREDICATES, type Subject, subjectOf, writeStatement } from '../../attestation/statement.ts';
import type { Reporter } from '../../base/diagnostics/progress.ts';
import { timeStamp } from '../../base/time-stamp.ts';
import { checkContent, type Digest, splitDigest } from '../../oci/digest.ts';
import { pushNewReferrers } from '../../oci/distribution/push.ts';
import { RegistryError } from '../../oci/http/registry-error.ts';
import type { ImageSource } from '../../oci/image-source.ts';
import { parseManifest } from '../../oci/manifest.ts';
import type { Descriptor } from '../../oci/model.ts';
import { openSource, type SourceOptions } from '../../oci/open.ts';
import {
  type FileReference,
  formatReference,
  parseReference,
  type RegistryReference,
} from '../../oci/reference.ts';
import { AttachedSource, type NewReferrer } from '../../oci/referrers/attached.ts';
import { findStatements } from './find-statements.ts';
import { statementReferrer } from './statement-referrer.ts';

/** How a statement is made. */
export interface SignOptions extends SourceOptions {
  key: SigningKey;
  /** Where a bundle in a layout or an archive will be published: the repository and tag to claim. */
  publishedAs?: RegistryReference;
  /** Claims besides the repository and the tag, by name. */
  claims?: Readonly<Record<string, string>>;
  /** The predicate; default: a plain signature. */
  predicate?: { type: string; content: Record<string, unknown> };
  /** Seconds since the epoch. */
  now: number;
  report: Reporter;
}

/** What was signed. */
export interface Signed {
  /** With the digest. */
  image: string;
  /** Hex SHA-256 of the public key. */
  keyId: string;
  /** Whether the same key had already stated the same; nothing was added then. */
  alreadySigned: boolean;
}

/**
 * Signs what a reference resolves to; of an index, the images in it as well.
 * @throws RegistryError INVALID_REFERENCE for a place that has no referrers, REFERRERS; those of reading and writing
 */
export async function signImage(text: string, options: SignOptions): Promise<Signed> {
  const reference = parseReference(text);
  const { transport } = reference;
  if (transport !== 'registry' && transport !== 'oci' && transport !== 'oci-archive')
    throw new RegistryError('INVALID_REFERENCE', `${text} has no place for signatures`, {
      hint: 'Push it to a registry, or put it into a layout (oci:DIR) or an archive (oci-archive:FILE), first.',
    });
  const { key, now } = options;
  const place = transport === 'registry' ? reference : options.publishedAs;
  const source = await openSource(reference, options);
  try {
    const { descriptor, content } = await source.root();
    checkContent(content, descriptor, `the manifest of ${source.name}`);
    const image = formatReference({ ...reference, digest: descriptor.digest });
    const manifests = manifestsOf(descriptor, content, source.name);
    const predicateType = options.predicate?.type ?? PREDICATES.signature;
    const claims = place ? claimsOf(place, options.claims) : { ...options.claims };
    if (!options.predicate && (await isSaid(source, descriptor.digest, key, claims)))
      return { image, keyId: key.publicKey.id, alreadySigned: true };
    const created = timeStamp(now);
    const name = place ? `${place.registry}/${place.repository}` : 'bundle';
    const subject = manifests.map(({ digest }) => ({
      ...(options.predicate && { name }),
      ...subjectFor(digest, { ...claims, created }),
    }));
    const payload = writeStatement({ subject, predicateType, predicate: options.predicate?.content ?? {} });
    const statement = { content: signStatement(payload, key), predicateType };
    const added = manifests.map((one) => statementReferrer(one, statement));
    await (reference.transport === 'registry'
      ? attach(source, reference, added, options)
      : attachHere(reference, added, options));
    return { image, keyId: key.publicKey.id, alreadySigned: false };
  } finally {
    await source.close();
  }
}

/** Attaches referrers to an image that exists. */
async function attach(
  source: ImageSource,
  reference: RegistryReference,
  added: readonly NewReferrer[],
  options: SignOptions,
) {
  await pushNewReferrers(
    new AttachedSource(source, added),
    added.map(({ subject, manifest }) => ({ ...manifest.descriptor, content: manifest.content, subject })),
    reference,
    options,
  );
}

async function attachHere(
  { transport, path }: FileReference,
  added: readonly NewReferrer[],
  { signal }: SignOptions,
): Promise<void> {
  const { addToArchive, addToLayoutDirectory } = await import('../../oci/layout/add-referrers.ts');
  await (transport === 'oci' ? addToLayoutDirectory : addToArchive)(path, added, signal);
}

/** The root, and the images of an index, so that each of them can be verified by its own digest. */
function manifestsOf({ mediaType, digest, size }: Descriptor, content: Buffer, name: string): Descriptor[] {
  const parsed = parseManifest(content, mediaType, `the manifest of ${name}`);
  const root = { mediaType: parsed.mediaType, digest, size };
  return [root, ...('manifests' in parsed ? parsed.manifests : [])];
}

/** The tag is claimed, so that a registry cannot answer with another image that was signed earlier. */
export function claimsOf(
  { repository, tag, digest }: RegistryReference,
  more: Readonly<Record<string, string>> = {},
) {
  const named = tag ?? (digest === undefined ? 'latest' : undefined);
  return { repository, ...(named !== undefined && { tag: named }), ...more };
}

/** @param annotations the claims */
export function subjectFor(digest: Digest, annotations: Record<string, string>): Subject {
  const { algorithm, hex } = splitDigest(digest);
  return { digest: { [algorithm]: hex }, annotations };
}

/** Whether this key has already signed this with these claims. */
async function isSaid(
  source: ImageSource,
  digest: Digest,
  key: SigningKey,
  claims: Readonly<Record<string, string>>,
): Promise<boolean> {
  for await (const found of findStatements(source, digest, new Set([PREDICATES.signature]))) {
    if ('problem' in found) continue;
    for (const { statement } of examine([found], digest, [key.publicKey]).trusted) {
      const { created: _, ...said } = subjectOf(statement, digest)?.annotations ?? {};
      const same = Object.entries(claims).every(([name, value]) => said[name] === value);
      if (
        statement.predicateType === PREDICATES.signature &&
        same &&
        Object.keys(said).length === Object.keys(claims).length
      )
        return true;
    }
  }
  return false;
}

// Puts what refers to an image into a registry. Where the registry has no list of its own (it does not answer a manifest
// with `OCI-Subject`), the index under the fallback tag is written (OCI distribution-spec 1.1, "Pushing Manifests with
// Subject"): once for everything, since two writers lose each other's entries, and read again to see that it did not happen.
import type { Digest } from '../digest.ts';
import { digestOf } from '../digest.ts';
import { putManifest, type StoredManifest } from '../distribution/put-manifest.ts';
import type { DistributionClient } from '../distribution/repository-client.ts';
import { RegistryError } from '../http/registry-error.ts';
import { MANIFEST_LIMIT_BYTES, parseManifest } from '../manifest.ts';
import { OCI_INDEX } from '../media-types.ts';
import type { Descriptor } from '../model.ts';
import { fallbackTag, fetchFallback } from './list.ts';

/** A manifest that refers to another. */
export interface StoredReferrer extends StoredManifest {
  subject: Digest;
}

/** How often an update is tried that others have undone. */
const ATTEMPTS = 6;

/** Who has read the index before it was written may write for so long afterwards. Milliseconds. */
const SETTLE_MS = 300;

/** Manifests up to this size lie in the index themselves: reading them costs no request, and no collection of garbage
 * that overlooks them can take them. Bytes. */
const EMBEDDED_LIMIT = 16 * 1024;

/**
 * Puts the manifests, whose blobs are there, and lists them.
 * @throws RegistryError REFERRERS when the registry does not take them, or loses them
 */
export async function pushReferrers(
  client: DistributionClient,
  referrers: readonly StoredReferrer[],
): Promise<void> {
  const unlisted = new Map<Digest, StoredReferrer[]>();
  for (const referrer of referrers) {
    const { subject } = await putManifest(client, referrer, referrer.digest).catch((error) => {
      throw refused(client, error);
    });
    if (!subject) unlisted.set(referrer.subject, [...(unlisted.get(referrer.subject) ?? []), referrer]);
  }
  for (const [subject, added] of unlisted) await addToFallback(client, subject, added);
}

async function addToFallback(
  client: DistributionClient,
  subject: Digest,
  added: readonly StoredReferrer[],
): Promise<void> {
  const entries = added.map(entryOf);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (attempt > 0) await pause(Math.random() * SETTLE_MS * attempt);
    const before = await fetchFallback(client, subject);
    const listed = before ? entriesIn(before, subject) : [];
    const digests = new Set(listed.map(({ digest }) => digest));
    const missing = entries.filter(({ digest }) => !digests.has(digest));
    if (missing.length === 0) return;
    const content = indexOf([...listed, ...missing]);
    const index = { content, mediaType: OCI_INDEX, digest: digestOf(content) };
    await putManifest(client, index, fallbackTag(subject)).catch((error) => {
      throw refused(client, error);
    });
    // Somebody else may have read what was there before, and write it back without this.
    await pause(SETTLE_MS * (attempt + 1));
    const after = await fetchFallback(client, subject);
    const kept = new Set(after ? entriesIn(after, subject).map(({ digest }) => digest) : []);
    if ([...listed, ...missing].every(({ digest }) => kept.has(digest))) return;
  }
  throw new RegistryError(
    'REFERRERS',
    `${client.endpoint.host} lost the entry under ${fallbackTag(subject)} ${ATTEMPTS} times`,
    { hint: 'Others are writing there at the same time; try again when they have finished.' },
  );
}

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** An entry of the index as it stands there: fields that we do not know are kept. */
interface Entry {
  digest: string;
  data?: string;
}

function entriesIn(content: Buffer, subject: Digest): Entry[] {
  const what = `the list of referrers ${fallbackTag(subject)}`;
  if ('manifests' in parseManifest(content, '', what)) return JSON.parse(content.toString('utf8')).manifests;
  throw new RegistryError('REFERRERS', `${what} is an image, not an index`, {
    hint: 'A tool that copies signatures as images has overwritten it; delete the tag.',
  });
}

function entryOf({ content, mediaType, digest }: StoredReferrer): Entry & Partial<Descriptor> {
  const manifest = parseManifest(content, mediaType, `the referrer ${digest}`);
  const artifactType =
    'manifests' in manifest ? undefined : (manifest.artifactType ?? manifest.config.mediaType);
  const { annotations = {} } = manifest;
  return {
    ...{ mediaType, digest, size: content.length },
    ...(artifactType !== undefined && { artifactType }),
    ...(Object.keys(annotations).length > 0 && { annotations }),
    ...(isWhole(manifest) && content.length <= EMBEDDED_LIMIT && { data: content.toString('base64') }),
  } as Entry & Partial<Descriptor>;
}

/** Whether a manifest has its content in itself; to have the others at hand saves nothing. */
function isWhole(manifest: ReturnType<typeof parseManifest>): boolean {
  return 'layers' in manifest && manifest.layers.every(({ data }) => data !== undefined);
}

/** What is embedded is a help only: it goes when there is too much of it. */
function indexOf(entries: readonly Entry[]): Buffer {
  const write = (manifests: readonly Entry[]) =>
    Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }));
  const whole = write(entries);
  if (whole.length <= MANIFEST_LIMIT_BYTES / 2) return whole;
  return write(entries.map(({ data: _, ...entry }) => entry));
}

function refused(client: DistributionClient, cause: unknown): unknown {
  if (!(cause instanceof RegistryError) || (cause.status ?? 0) < 400 || (cause.status ?? 0) >= 500)
    return cause;
  return new RegistryError(
    'REFERRERS',
    `${client.endpoint.host} does not accept referrers of the image: ${cause.message}`,
    {
      cause,
      hint: 'The tag was not moved. Allow manifests with a subject, and tags that begin with sha256-, in the registry.',
      ...(cause.status !== undefined && { status: cause.status }),
    },
  );
}

// Pushes an image, or an index with all of its images, and what refers to them, from wherever it is read into a repository.
// Blobs first, manifests next, the tag last: whoever looks sees what was there before, or all of it.

import { throwIfCancelled } from '../../base/diagnostics/cancelled.ts';
import type { Reporter } from '../../base/diagnostics/progress.ts';
import { formatBytes } from '../../base/diagnostics/render.ts';
import { checkContent, type Digest } from '../digest.ts';
import { distinct } from '../distinct.ts';
import { RegistryError } from '../http/registry-error.ts';
import type { ImageSource } from '../image-source.ts';
import { parseManifest } from '../manifest.ts';
import { ACCEPT_MANIFESTS } from '../media-types.ts';
import type { Descriptor } from '../model.ts';
import { openRepository, openSource, type SourceOptions, writingClient } from '../open.ts';
import { formatReference, type Reference, type RegistryReference } from '../reference.ts';
import { listReferrers } from '../referrers/list.ts';
import { pushReferrers, type StoredReferrer } from '../referrers/push-referrers.ts';
import { readReferrers } from '../referrers/travel.ts';
import { SequentialBlob } from '../sequential-blob.ts';
import { putManifest, type StoredManifest } from './put-manifest.ts';
import type { DistributionClient } from './repository-client.ts';
import { uploadBlob } from './upload.ts';

/** More at once would only slow each other down, and registries limit the rate of requests. */
const BLOBS_AT_ONCE = 3;
const STAGE = 'push';

export interface PushOptions extends SourceOptions {
  report: Reporter;
  /** Repositories of the target's registry that may have some of the blobs. */
  mountFrom?: readonly string[];
  /**
   * Whether what refers to the image is looked at when the tag stands for the image already; default: all of it is taken
   * to be there.
   */
  referrersAgain?: boolean;
}

/** What was pushed. */
export interface PushResult {
  /** Digest of the manifest or index that the tag stands for. */
  digest: Digest;
  /** Bytes that were sent; 0 when the registry had everything. */
  uploaded: number;
}

/**
 * Pushes what `from` names, with what refers to it. When the tag stands for it already, only that is looked at.
 * @throws RegistryError INVALID_REFERENCE when the target has a digest; those of reading the source, and of
 * {@link uploadBlob}
 */
export async function pushReference(
  from: Reference,
  target: RegistryReference,
  options: PushOptions,
): Promise<PushResult> {
  const source = await openSource(from, options);
  // Blobs of the same registry need not travel.
  const isNear = from.transport === 'registry' && from.registry === target.registry;
  const mountFrom = [...(options.mountFrom ?? []), ...(isNear ? [from.repository] : [])];
  try {
    return await pushImage(source, target, { ...options, mountFrom, referrersAgain: true });
  } finally {
    await source.close();
  }
}

/** The same for an image that is open already. */
export async function pushImage(
  source: ImageSource,
  target: RegistryReference,
  options: PushOptions,
): Promise<PushResult> {
  const { tag = 'latest' } = target;
  if (target.digest) {
    const name = formatReference(target);
    throw new RegistryError(
      'INVALID_REFERENCE',
      `${name} has a digest; push to a tag, the digest follows from the content`,
    );
  }
  throwIfCancelled(options.signal);
  // One failure stops the others: without all of the blobs none is of use.
  const failed = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, failed.signal]) : failed.signal;
  const { clients, http } = await openRepository(target, 'push,pull', { ...options, signal });
  try {
    const client = writingClient(clients);
    const manifests = await readManifests(source);
    const root = manifests.at(-1) as StoredManifest;
    const isTagged = (await taggedDigest(client, tag)) === root.digest;
    if (isTagged && !options.referrersAgain) return { digest: root.digest, uploaded: 0 };
    const referrers = await newReferrers(source, manifests, client, isTagged);
    const others = (options.mountFrom ?? []).filter((name) => name !== target.repository);
    const blobs = new BlobPush(client, source, others, options.report);
    const documents = isTagged ? referrers : [...manifests, ...referrers];
    await blobs.pushAll(distinct(documents.flatMap(blobsOf)), failed);
    if (!isTagged)
      for (const manifest of manifests.slice(0, -1)) await putManifest(client, manifest, manifest.digest);
    if (referrers.length > 0) await pushReferrers(client, referrers);
    throwIfCancelled(options.signal);
    if (!isTagged) await putManifest(client, root, tag);
    return { digest: root.digest, uploaded: blobs.uploaded };
  } catch (error) {
    // The first failure is the reason of the others, and the caller's wish that of all.
    throwIfCancelled(options.signal);
    throw failed.signal.aborted ? failed.signal.reason : error;
  } finally {
    http.close();
  }
}

/**
 * Puts what refers to an image that is there.
 * @param source has the manifests and their blobs
 * @param target its tag and digest do not matter
 * @throws RegistryError
 */
export async function pushNewReferrers(
  source: ImageSource,
  referrers: readonly StoredReferrer[],
  target: RegistryReference,
  options: PushOptions,
): Promise<void> {
  const failed = new AbortController();
  const { clients, http } = await openRepository(target, 'push,pull', options);
  try {
    const client = writingClient(clients);
    const blobs = new BlobPush(client, source, [], options.report);
    await blobs.pushAll(distinct(referrers.flatMap(blobsOf)), failed);
    await pushReferrers(client, referrers);
  } finally {
    http.close();
  }
}

/** What refers to the manifests and is not listed where they go. */
async function newReferrers(
  source: ImageSource,
  manifests: readonly StoredManifest[],
  client: DistributionClient,
  isTagged: boolean,
): Promise<StoredReferrer[]> {
  const found = await readReferrers(source, manifests);
  if (!isTagged || found.length === 0) return found;
  const listed = new Set<string>();
  for (const subject of new Set(found.map((one) => one.subject)))
    for await (const { digest } of listReferrers(client, subject)) listed.add(digest);
  return found.filter(({ digest }) => !listed.has(digest));
}

/** What the tag stands for now; undefined when there is none, or the registry does not say. */
async function taggedDigest(client: DistributionClient, tag: string): Promise<string | undefined> {
  const request = { method: 'HEAD' as const, headers: { accept: ACCEPT_MANIFESTS } };
  const response = await client.request(`manifests/${tag}`, request, [200, 404], `the tag ${tag}`);
  response.body.resume();
  const digest = response.headers['docker-content-digest'];
  return response.status === 200 && typeof digest === 'string' ? digest : undefined;
}

/** The manifests below the source's reference, the root last: a registry takes an index when it has what it names. */
async function readManifests(source: ImageSource): Promise<StoredManifest[]> {
  const { descriptor, content, synthesized } = await source.root();
  if (synthesized) {
    throw new RegistryError('UNSUPPORTED_MEDIA_TYPE', `${source.name} has no manifest to push`, {
      hint: 'Convert it to an OCI archive: skopeo copy docker-archive:FILE oci-archive:FILE.',
    });
  }
  checkContent(content, descriptor, `the manifest of ${source.name}`);
  const found = new Map<string, StoredManifest>();
  const visit = async (one: Descriptor, bytes: Buffer): Promise<void> => {
    const parsed = parseManifest(bytes, one.mediaType, `the manifest ${one.digest}`);
    for (const child of 'manifests' in parsed ? parsed.manifests : []) {
      if (found.has(child.digest)) continue;
      const below = await source.manifest(child);
      checkContent(below, child, `the manifest ${child.digest}`);
      await visit(child, below);
    }
    found.set(one.digest, { content: bytes, mediaType: parsed.mediaType, digest: one.digest });
  };
  await visit(descriptor, content);
  return [...found.values()];
}

function blobsOf({ content, mediaType, digest }: StoredManifest): Descriptor[] {
  const parsed = parseManifest(content, mediaType, `the manifest ${digest}`);
  return 'manifests' in parsed ? [] : [parsed.config, ...parsed.layers];
}

/** The blobs of one push, and how far they are. */
class BlobPush {
  readonly #client: DistributionClient;
  readonly #source: ImageSource;
  readonly #mountFrom: readonly string[];
  readonly #report: Reporter;
  readonly #done = new Map<string, number>();
  /** Bytes that were sent and taken. */
  uploaded = 0;

  constructor(
    client: DistributionClient,
    source: ImageSource,
    mountFrom: readonly string[],
    report: Reporter,
  ) {
    this.#client = client;
    this.#source = source;
    this.#mountFrom = mountFrom;
    this.#report = report;
  }

  /** Some at a time; the first failure aborts the others. */
  async pushAll(blobs: readonly Descriptor[], failed: AbortController): Promise<void> {
    const total = blobs.reduce((sum, { size }) => sum + size, 0);
    const queue = [...blobs];
    const work = async () => {
      for (let blob = queue.shift(); blob; blob = queue.shift()) await this.#push(blob, total);
    };
    const workers = Array.from({ length: BLOBS_AT_ONCE }, () =>
      work().catch((error) => {
        queue.length = 0;
        failed.abort(error);
      }),
    );
    await Promise.all(workers);
    if (failed.signal.aborted) throw failed.signal.reason;
  }

  async #push(descriptor: Descriptor, total: number): Promise<void> {
    const { digest, size } = descriptor;
    const blob = new SequentialBlob(this.#source, descriptor);
    const onProgress = (done: number) => {
      this.#done.set(digest, done);
      const sum = [...this.#done.values()].reduce((a, b) => a + b, 0);
      this.#report({ type: 'bytes', stage: STAGE, done: sum, total });
    };
    try {
      const outcome = await uploadBlob(this.#client, blob, { mountFrom: this.#mountFrom, onProgress });
      if (outcome === 'uploaded') this.uploaded += size;
      onProgress(size);
      const message = `${digest.slice(0, 'sha256:'.length + 12)} (${formatBytes(size)}) ${outcome}`;
      this.#report({ type: 'step', stage: STAGE, message });
    } finally {
      await blob.close();
    }
  }
}

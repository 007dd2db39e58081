// Tags an image that is in a registry already: manifests are put again under another name, blobs are mounted from one
// repository into another (distribution-spec, "Pushing Manifests", "Mounting a blob from another repository"). No layer
// travels.
import { type Digest, digestOf, isDigest } from '../digest.ts';
import { distinct } from '../distinct.ts';
import { readBody } from '../http/client.ts';
import { RegistryError } from '../http/registry-error.ts';
import { MANIFEST_LIMIT_BYTES, parseManifest } from '../manifest.ts';
import { ACCEPT_MANIFESTS } from '../media-types.ts';
import type { Descriptor } from '../model.ts';
import { openRepository, type SourceOptions, writingClient } from '../open.ts';
import { formatReference, type RegistryReference } from '../reference.ts';
import { pushReferrers } from '../referrers/push-referrers.ts';
import { readReferrers } from '../referrers/travel.ts';
import { RegistrySource } from '../sources/registry.ts';
import { putManifest, type StoredManifest } from './put-manifest.ts';
import type { DistributionClient } from './repository-client.ts';
import { mountBlob } from './upload.ts';

/**
 * Gives an image more tags, and in another repository what refers to it; the source's digest decides when it has one.
 * @returns the digest that all of them stand for
 * @throws RegistryError INVALID_REFERENCE before anything is written when a target is in another registry or has a
 * digest; SERVER when the registry refuses to mount; those of {@link DistributionClient.request}
 */
export async function tagImage(
  source: RegistryReference,
  targets: readonly RegistryReference[],
  options: SourceOptions = {},
): Promise<Digest> {
  for (const target of targets) checkTarget(source, target);
  const from = await openRepository(source, 'pull', options);
  const opened = [from.http];
  try {
    const reading = writingClient(from.clients);
    const root = await fetchManifest(reading, source.digest ?? source.tag ?? 'latest');
    const children = await fetchChildren(reading, root);
    for (const target of targets) {
      const to = await openRepository(target, 'push,pull', options);
      opened.push(to.http);
      const client = writingClient(to.clients);
      if (target.repository !== source.repository) {
        const blobs = [root, ...children].flatMap(blobsOf);
        const referrers = await readReferrers(new RegistrySource(source, from.clients, from.http), [
          root,
          ...children,
        ]);
        for (const blob of distinct([...blobs, ...referrers.flatMap(blobsOf)]))
          await mount(client, blob, source.repository);
        for (const child of children) await putManifest(client, child, child.digest);
        if (referrers.length > 0) await pushReferrers(client, referrers);
      }
      await putManifest(client, root, target.tag ?? 'latest');
    }
    return root.digest;
  } finally {
    for (const http of opened) http.close();
  }
}

function checkTarget(source: RegistryReference, target: RegistryReference): void {
  const name = formatReference(target);
  if (target.registry !== source.registry) {
    throw new RegistryError(
      'INVALID_REFERENCE',
      `${name} is in another registry than ${formatReference(source)}`,
      {
        hint: 'Tagging moves no data. Copy the image: image-builder push SOURCE TARGET.',
      },
    );
  }
  if (target.digest) {
    throw new RegistryError('INVALID_REFERENCE', `${name} has a digest; expected a reference with a tag`);
  }
}

async function fetchManifest(client: DistributionClient, reference: string): Promise<StoredManifest> {
  const headers = { accept: ACCEPT_MANIFESTS };
  const response = await client.request(
    `manifests/${reference}`,
    { method: 'GET', headers },
    [200],
    reference,
  );
  const content = await readBody(response, MANIFEST_LIMIT_BYTES);
  const digest = digestOf(content);
  if (isDigest(reference) && reference !== digest) {
    throw new RegistryError(
      'DIGEST_MISMATCH',
      `${response.url.host} sent ${digest} for the manifest ${reference}`,
    );
  }
  return { content, digest, mediaType: (response.headers['content-type'] ?? '').split(';')[0]?.trim() ?? '' };
}

/** The manifests that an index names, and those of indexes among them. */
async function fetchChildren(client: DistributionClient, root: StoredManifest): Promise<StoredManifest[]> {
  const parsed = parseManifest(root.content, root.mediaType, root.digest);
  if (!('manifests' in parsed)) return [];
  const children: StoredManifest[] = [];
  for (const { digest } of parsed.manifests) {
    const child = await fetchManifest(client, digest);
    // Children come first: a registry takes an index only when it has what the index names.
    children.push(...(await fetchChildren(client, child)), child);
  }
  return children;
}

function blobsOf({ content, mediaType, digest }: StoredManifest): Descriptor[] {
  const parsed = parseManifest(content, mediaType, digest);
  return 'manifests' in parsed ? [] : [parsed.config, ...parsed.layers];
}

async function mount(client: DistributionClient, { digest }: Descriptor, from: string): Promise<void> {
  if (await mountBlob(client, digest, from)) return;
  throw new RegistryError(
    'SERVER',
    `${client.endpoint.host} does not mount the blob ${digest} from ${from}`,
    { hint: 'Send the data again: image-builder push SOURCE TARGET.' },
  );
}

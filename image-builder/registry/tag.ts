// Tags an image that is in a registry already: manifests are put again under another name, blobs are mounted from one
// repository into another (distribution-spec, "Pushing Manifests", "Mounting a blob from another repository"). No layer
// travels.
import { type Digest, digestOf, isDigest } from './digest.ts';
import type { DistributionClient } from './distribution.ts';
import { RegistryError } from './error.ts';
import { type HttpResponse, readBody } from './http/client.ts';
import { type Descriptor, MANIFEST_LIMIT_BYTES, parseManifest } from './manifest.ts';
import { ACCEPT_MANIFESTS } from './media-types.ts';
import { openRepository, type SourceOptions } from './open.ts';
import { formatReference, type RegistryReference } from './reference.ts';

/** A manifest as the registry has it: its bytes are its identity. */
interface StoredManifest {
  content: Buffer;
  mediaType: string;
  digest: Digest;
}

/**
 * Gives an image more tags; the source's digest decides when it has one.
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
        for (const blob of distinct(blobs)) await mount(client, blob, source.repository);
        for (const child of children) await putManifest(client, child, child.digest);
      }
      await putManifest(client, root, target.tag ?? 'latest');
    }
    return root.digest;
  } finally {
    for (const http of opened) http.close();
  }
}

/** The registry itself, not a mirror. */
function writingClient(clients: DistributionClient[]): DistributionClient {
  const client = clients.at(-1);
  if (!client) throw new TypeError('a repository without an endpoint');
  return client;
}

function checkTarget(source: RegistryReference, target: RegistryReference): void {
  const name = formatReference(target);
  if (target.registry !== source.registry) {
    throw new RegistryError(
      'INVALID_REFERENCE',
      `${name} is in another registry than ${formatReference(source)}`,
      {
        hint: 'Tagging moves no data. Copy the image: skopeo copy docker://SOURCE docker://TARGET.',
      },
    );
  }
  if (target.digest) {
    throw new RegistryError('INVALID_REFERENCE', `${name} has a digest; a tag is given, a digest is not`);
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
  if (parsed.kind === 'manifest') return [];
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
  return parsed.kind === 'manifest' ? [parsed.config, ...parsed.layers] : [];
}

function distinct(blobs: Descriptor[]): Descriptor[] {
  return [...new Map(blobs.map((blob) => [blob.digest, blob])).values()];
}

async function mount(client: DistributionClient, { digest }: Descriptor, from: string): Promise<void> {
  const query = new URLSearchParams({ mount: digest, from });
  const response = await client.request(
    `blobs/uploads/?${query}`,
    { method: 'POST' },
    [201, 202],
    `mounting ${digest}`,
  );
  response.body.resume();
  if (response.status === 201) return;
  await cancelUpload(client, response);
  throw new RegistryError('SERVER', `${response.url.host} does not mount the blob ${digest} from ${from}`, {
    hint: 'It wants the data again. Copy the image: skopeo copy docker://SOURCE docker://TARGET.',
  });
}

/** 202 has begun an upload that nobody wants. */
async function cancelUpload(client: DistributionClient, { headers, url }: HttpResponse): Promise<void> {
  if (headers.location === undefined) return;
  const { pathname, search } = new URL(headers.location, url);
  const prefix = `/v2/${client.endpoint.repository}/`;
  if (!pathname.startsWith(prefix)) return;
  const path = `${pathname.slice(prefix.length)}${search}`;
  const answer = await client
    .request(path, { method: 'DELETE' }, [204, 202, 404], 'an upload')
    .catch(() => undefined);
  answer?.body.resume();
}

async function putManifest(
  client: DistributionClient,
  manifest: StoredManifest,
  reference: string,
): Promise<void> {
  const request = {
    method: 'PUT' as const,
    headers: { 'content-type': manifest.mediaType },
    body: manifest.content,
  };
  const response = await client.request(
    `manifests/${reference}`,
    request,
    [201, 202],
    `the manifest ${reference}`,
  );
  response.body.resume();
}

// What a registry says refers to a manifest (OCI distribution-spec 1.1, "Listing Referrers"): by the API for it, and by the
// tag that stands in for it where there is none. Both are asked: a registry that has learned the API may still have
// lists that were written before. Nothing of the answer is to be believed, and that it is empty proves nothing.
import { type Digest, splitDigest } from '../digest.ts';
import type { DistributionClient } from '../distribution/repository-client.ts';
import { RegistryError } from '../http/registry-error.ts';
import type { HttpResponse } from '../http/transport.ts';
import { MANIFEST_LIMIT_BYTES, parseManifest } from '../manifest.ts';
import { ACCEPT_MANIFESTS, OCI_INDEX } from '../media-types.ts';
import type { Descriptor } from '../model.ts';
import { saysWhatItIs } from './referrer.ts';

/** Pages of a list that are read. */
const PAGE_LIMIT = 10;

/** The tag under which referrers of a manifest are listed without the API. */
export function fallbackTag(digest: Digest): string {
  const { algorithm, hex } = splitDigest(digest);
  return `${algorithm}-${hex.slice(0, 64)}`;
}

/**
 * Descriptors of what refers to a manifest, each once; whoever stops early asks no further question. Those that do not say
 * what they are come last: the other list may say it, and have the whole manifest in it.
 * @throws RegistryError whatever the registry answers but a list or "not found"
 */
export async function* listReferrers(client: DistributionClient, digest: Digest): AsyncGenerator<Descriptor> {
  const seen = new Set<Digest>();
  const untold = new Map<Digest, Descriptor>();
  for await (const page of pages(client, digest)) {
    for (const descriptor of page) {
      if (seen.has(descriptor.digest)) continue;
      if (!saysWhatItIs(descriptor)) {
        if (!untold.has(descriptor.digest)) untold.set(descriptor.digest, descriptor);
        continue;
      }
      untold.delete(descriptor.digest);
      seen.add(descriptor.digest);
      yield descriptor;
    }
  }
  yield* untold.values();
}

async function* pages(client: DistributionClient, digest: Digest): AsyncGenerator<Descriptor[]> {
  let path: string | undefined = `referrers/${digest}`;
  for (let page = 0; path !== undefined && page < PAGE_LIMIT; page++) {
    const what = `the list of referrers of ${digest}`;
    const request = { method: 'GET', headers: { accept: OCI_INDEX } } as const;
    // 405 is what registries before the API answer that route by method first.
    const { response, content } = await client.fetch(
      path,
      request,
      [200, 404, 405],
      what,
      () => MANIFEST_LIMIT_BYTES,
    );
    if (response.status !== 200) break;
    yield entriesOf(content, OCI_INDEX, what);
    path = nextPage(response, client.endpoint.repository);
  }
  const fallback = await fetchFallback(client, digest);
  if (fallback) yield entriesOf(fallback, OCI_INDEX, `the list of referrers ${fallbackTag(digest)}`);
}

/** The index under the tag that stands in for the API; undefined when there is none. */
export async function fetchFallback(client: DistributionClient, digest: Digest): Promise<Buffer | undefined> {
  const tag = fallbackTag(digest);
  const request = { method: 'GET', headers: { accept: ACCEPT_MANIFESTS } } as const;
  const limit = () => MANIFEST_LIMIT_BYTES;
  const { response, content } = await client.fetch(
    `manifests/${tag}`,
    request,
    [200, 404],
    `the tag ${tag}`,
    limit,
  );
  return response.status === 200 ? content : undefined;
}

function entriesOf(content: Buffer, mediaType: string, what: string): Descriptor[] {
  const parsed = parseManifest(content, '', what);
  if ('manifests' in parsed) return parsed.manifests;
  throw new RegistryError('INVALID_MANIFEST', `${what} is an image, not a ${mediaType}`, {
    hint: 'A tool that copies signatures as images has overwritten it; copy again: image-builder push, or oras cp -r.',
  });
}

/** The path of the next page below the repository; a link to anywhere else is not followed. */
function nextPage({ headers, url }: HttpResponse, repository: string): string | undefined {
  const link = headers.link;
  const target = /<([^>]*)>\s*;\s*rel="?next"?/i.exec(
    Array.isArray(link) ? link.join(',') : (link ?? ''),
  )?.[1];
  if (target === undefined) return undefined;
  const next = new URL(target, url);
  const prefix = `/v2/${repository}/`;
  if (next.origin !== url.origin || !next.pathname.startsWith(`${prefix}referrers/`)) return undefined;
  return next.pathname.slice(prefix.length) + next.search;
}

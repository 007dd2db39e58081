// Puts a manifest or an index under a tag or its digest (OCI distribution-spec v1.1, "Pushing Manifests").

import type { Digest } from '../digest.ts';
import { RegistryError } from '../http/registry-error.ts';
import type { DistributionClient } from './repository-client.ts';

/** A manifest as bytes: they are its identity. */
export interface StoredManifest {
  content: Buffer;
  mediaType: string;
  digest: Digest;
}

/**
 * The registry has everything that the manifest names, or it refuses.
 * @param reference a tag, or the manifest's own digest
 * @returns `subject`: whether the registry lists what the manifest refers to by itself
 * @throws RegistryError DIGEST_MISMATCH when the registry says that it has stored something else
 */
export async function putManifest(
  client: DistributionClient,
  manifest: StoredManifest,
  reference: string,
): Promise<{ subject: boolean }> {
  const headers = { 'content-type': manifest.mediaType };
  const request = { method: 'PUT' as const, headers, body: manifest.content };
  const path = `manifests/${reference}`;
  const response = await client.request(path, request, [201, 202], `the manifest ${reference}`);
  response.body.resume();
  const stored = response.headers['docker-content-digest'];
  if (stored !== undefined && stored !== manifest.digest) {
    throw new RegistryError(
      'DIGEST_MISMATCH',
      `${response.url.host} stored the manifest ${manifest.digest} as ${stored}`,
      { hint: 'The registry, or a proxy in front of it, changes manifests; do not use the tag.' },
    );
  }
  return { subject: response.headers['oci-subject'] !== undefined };
}

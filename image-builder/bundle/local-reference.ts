// References to bundles on this machine, as they can be given to any command again.

import type { Digest } from '../oci/digest.ts';
import { formatReference } from '../oci/reference.ts';
import type { BundleReference } from './model.ts';

/** A bundle in an OCI layout, or in an archive of one. */
export function localReference(
  transport: 'oci' | 'oci-archive',
  path: string,
  digest: string,
  tag?: string,
): BundleReference {
  const reference = { transport, path, digest: digest as Digest, ...(tag !== undefined && { tag }) };
  return { image: formatReference(reference), digest };
}

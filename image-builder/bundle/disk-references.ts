// The references by which Ironic takes the disks of a published bundle.

import type { RegistryReference } from '../oci/reference.ts';
import { diskManifest } from './disk-index.ts';
import type { Artifacts } from './model.ts';

/**
 * Adds `oci` to the QCOWs: the digest says all, a tag would only be another thing to agree with it.
 * @param published only those whose manifest it contains, when `manifests` is given
 */
export function diskReferences(
  artifacts: Artifacts,
  { registry, repository }: Pick<RegistryReference, 'registry' | 'repository'>,
  manifests?: ReadonlySet<string>,
): Artifacts {
  const qcows = Object.entries(artifacts.qcows).map(([name, qcow]) => {
    const { file, size, sha256 } = qcow;
    if (size === undefined || sha256 === undefined) return [name, qcow];
    const { digest } = diskManifest({ file, size, sha256 }).descriptor;
    if (manifests && !manifests.has(digest)) return [name, qcow];
    return [name, { ...qcow, oci: `oci://${registry}/${repository}@${digest}` }];
  });
  return { ...artifacts, qcows: Object.fromEntries(qcows) };
}

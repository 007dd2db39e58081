// Puts an assembled bundle where the user wants it: an OCI layout directory, or an archive of one.
import { resolve } from 'node:path';
import { writeArchive } from '../../oci/layout/write-archive.ts';
import { addToLayout, type LayoutImage } from '../../oci/layout/write-directory.ts';
import { localReference } from '../local-reference.ts';
import type { BundleReference } from '../model.ts';
import { BundleWriteError } from './write-error.ts';

/** Where a bundle goes. `path` is as the user gave it, relative to the working directory. */
export interface BundleDestination {
  kind: 'layout' | 'archive';
  path: string;
  tag: string;
}

const TAG = /^\w[\w.-]{0,127}$/;

/**
 * Publishes the bundle under its tag. What had the tag before is replaced in one step.
 * @throws BundleWriteError BUNDLE_NAME_INVALID, LayoutError, LockError
 */
export async function publishBundle(
  bundle: LayoutImage,
  destination: BundleDestination,
  options: { cwd: string; signal?: AbortSignal },
): Promise<BundleReference> {
  if (!TAG.test(destination.tag)) {
    throw new BundleWriteError('BUNDLE_NAME_INVALID', `${JSON.stringify(destination.tag)} is not a tag`);
  }
  const path = resolve(options.cwd, destination.path);
  const write = destination.kind === 'layout' ? addToLayout : writeArchive;
  await write(bundle, path, destination.tag, options.signal);
  return referenceOf(destination, bundle.manifest.digest);
}

/** The reference of a bundle at its destination. */
export function referenceOf(destination: BundleDestination, digest: string): BundleReference {
  const transport = destination.kind === 'layout' ? 'oci' : 'oci-archive';
  return localReference(transport, destination.path, digest, destination.tag);
}

// Puts a finished bundle where the spec says: into a registry, an archive, a layout. What is there already stays.
import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Artifacts, BundleReference } from '../bundle/types.ts';
import { blobPath } from '../bundle/write-blobs.ts';
import { type BundleDestination, publishBundle, referenceOf } from '../bundle/write-destination.ts';
import { layoutHas } from '../bundle/write-layout.ts';
import { type Descriptor, OCI_MANIFEST } from '../bundle/write-oci.ts';
import type { Reporter } from '../diagnostics/progress.ts';
import type { CredentialOptions } from '../registry/credentials/types.ts';
import type { Digest } from '../registry/digest.ts';
import type { Environment } from '../registry/http/proxy.ts';
import type { FileReference, RegistryReference } from '../registry/reference.ts';
import type { ResolvedBuild } from '../variables/types.ts';

/** A bundle in a layout directory, under whatever tag. */
export interface FinishedBundle {
  directory: string;
  /** Digest of its manifest. */
  digest: string;
  artifacts: Artifacts;
}

export interface PublishOptions {
  /** What relative paths of the spec are relative to. */
  cwd: string;
  /** Layout directory when the spec names no place at all. */
  defaultLayout: string;
  /** Credentials for registries beside those of the machine. */
  credentials?: CredentialOptions;
  env?: Environment;
  report: Reporter;
  signal: AbortSignal;
}

/** Where the bundle is now. In a registry its QCOWs may have references of their own. */
export interface Published {
  reference: BundleReference;
  artifacts: Artifacts;
}

/**
 * Publishes the bundle everywhere that the spec names. Costs one request to a registry where nothing has changed.
 * @returns the reference that counts: in the registry if there is one, else the archive's or the layout's
 * @throws BundleWriteError, RegistryError
 */
export async function publish(
  resolved: ResolvedBuild,
  bundle: FinishedBundle,
  options: PublishOptions,
): Promise<Published> {
  const { layout, archive, tag, repository } = resolved.bundle;
  const manifest = await manifestOf(bundle);
  const references: BundleReference[] = [];
  if (layout !== undefined || (archive === undefined && repository === undefined)) {
    const destination = { kind: 'layout', path: layout ?? options.defaultLayout, tag } as const;
    references.push(await toDirectory({ ...bundle, manifest }, destination, options));
  }
  if (archive !== undefined) {
    const destination = { kind: 'archive', path: archive, tag } as const;
    references.unshift(await toArchive({ ...bundle, manifest }, destination, options));
  }
  if (repository !== undefined) return await toRegistry(resolved, bundle, repository, options);
  return { reference: references[0] as BundleReference, artifacts: bundle.artifacts };
}

async function manifestOf({ directory, digest }: FinishedBundle): Promise<Descriptor> {
  const { size } = await stat(blobPath(join(directory, 'blobs', 'sha256'), digest));
  return { mediaType: OCI_MANIFEST, digest, size };
}

async function toDirectory(
  bundle: { directory: string; manifest: Descriptor },
  destination: BundleDestination,
  options: PublishOptions,
): Promise<BundleReference> {
  const path = resolve(options.cwd, destination.path);
  if (await layoutHas(path, destination.tag, bundle)) return referenceOf(destination, bundle.manifest.digest);
  return await publishBundle(bundle, destination, options);
}

async function toArchive(
  bundle: { directory: string; manifest: Descriptor },
  destination: BundleDestination,
  options: PublishOptions,
): Promise<BundleReference> {
  const { digest } = bundle.manifest;
  const path = resolve(options.cwd, destination.path);
  if ((await archivedDigest(path, destination.tag)) === digest) return referenceOf(destination, digest);
  return await publishBundle(bundle, destination, options);
}

/** What an archive that was written before holds; it appears whole or not at all. */
async function archivedDigest(path: string, tag: string): Promise<string | undefined> {
  const { openLayout } = await import('../registry/sources/layout.ts');
  const source = await openLayout({ transport: 'oci-archive', path, tag }).catch(() => undefined);
  try {
    return await source?.currentDigest();
  } catch {
    return undefined;
  } finally {
    await source?.close();
  }
}

async function toRegistry(
  { bundle: { tag, disks, base }, rootfs }: ResolvedBuild,
  { directory, digest, artifacts }: FinishedBundle,
  repository: string,
  options: PublishOptions,
): Promise<Published> {
  const [
    { openLayout },
    { pushImage },
    { parseReference, formatReference },
    { withDisks },
    { diskReferences },
  ] = await Promise.all([
    import('../registry/sources/layout.ts'),
    import('../registry/push.ts'),
    import('../registry/reference.ts'),
    import('../bundle/disks.ts'),
    import('../bundle/disk-references.ts'),
  ]);
  const target = parseReference(`${repository}:${tag}`) as RegistryReference;
  const layout: FileReference = { transport: 'oci', path: directory, digest: digest as Digest };
  const source = await openLayout(layout);
  try {
    const architecture = rootfs.multistrap.rootfs_arch;
    const image = disks ? await withDisks({ source, artifacts, architecture }) : source;
    const below = base && parseReference(base.image);
    const pushed = await pushImage(image, target, {
      report: options.report,
      signal: options.signal,
      ...(options.credentials && { credentials: options.credentials }),
      ...(options.env && { environment: options.env }),
      // The layers of the base need not travel where the base is.
      ...(below?.transport === 'registry' &&
        below.registry === target.registry && { mountFrom: [below.repository] }),
    });
    const published = { ...target, digest: pushed.digest };
    return {
      reference: { image: formatReference(published), digest: pushed.digest },
      artifacts: disks ? diskReferences(artifacts, published) : artifacts,
    };
  } finally {
    await source.close();
  }
}

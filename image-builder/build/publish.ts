// Publishes a finished bundle where the spec says: in a registry, an archive, a layout. Existing content stays.

import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { SigningKey } from '../attestation/keys.ts';
import { invalidInput } from '../base/diagnostics/error.ts';
import type { Reporter } from '../base/diagnostics/progress.ts';
import type { Env } from '../base/env.ts';
import type { Artifacts, BundleReference } from '../bundle/model.ts';
import { type BundleDestination, publishBundle, referenceOf } from '../bundle/write/destination.ts';
import type { CredentialOptions } from '../oci/credentials/credentials.ts';
import type { Digest } from '../oci/digest.ts';
import { RegistryError } from '../oci/http/registry-error.ts';
import type { ImageSource } from '../oci/image-source.ts';
import { blobPath, blobsDirectory } from '../oci/layout/format.ts';
import { layoutHas } from '../oci/layout/write-directory.ts';
import { OCI_MANIFEST } from '../oci/media-types.ts';
import type { Descriptor } from '../oci/model.ts';
import type { SourceOptions } from '../oci/open.ts';
import type { FileReference, RegistryReference } from '../oci/reference.ts';
import { SpecOutputs } from '../policy/outputs.ts';
import { PathError } from '../policy/paths.ts';
import type { Policy } from '../policy/policy.ts';
import { mayPush, refusePush } from '../policy/push-rules.ts';
import type { ResolvedBuild } from '../spec/variables/resolved.ts';
import type { BuildEvidence } from './evidence.ts';

/** A bundle in a layout directory, under any tag. */
export interface FinishedBundle {
  directory: string;
  /** Digest of its manifest. */
  digest: string;
  artifacts: Artifacts;
}

/** Where a bundle may go, and with which credentials. */
export interface PublishOptions {
  /** What relative paths of the spec are relative to. */
  cwd: string;
  /** Where it may go. */
  policy: Pick<Policy, 'write' | 'push'>;
  /** Layout directory when the spec names no place at all. */
  defaultLayout: string;
  /** Credentials for registries beside those of the machine. */
  credentials?: CredentialOptions;
  env?: Env;
  /** What can be said about the bundle; nothing is known of one that was built in a store elsewhere. */
  evidence?: () => Promise<BuildEvidence>;
  report: Reporter;
  signal: AbortSignal;
}

const REPOSITORY = 'spec.build.bundle.repository';

/** Where the bundle is now. In a registry its QCOWs may have references of their own. */
export interface Published {
  reference: BundleReference;
  artifacts: Artifacts;
}

/**
 * Publishes the bundle everywhere that the spec names. Costs one request to a registry where nothing has changed.
 * @returns the reference that counts: in the registry if there is one, else the archive's or the layout's
 * @throws BundleWriteError, LayoutError, RegistryError; InvalidInputError for a place where the policy wants nothing
 */
export async function publish(
  resolved: ResolvedBuild,
  bundle: FinishedBundle,
  options: PublishOptions,
): Promise<Published> {
  const { layout, archive, tag, repository } = resolved.bundle;
  await requirePlaces(resolved.bundle, options);
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

/**
 * Makes sure that a bundle may go where the spec says; a repository is left to whoever knows if there is something to
 * push.
 * @throws InvalidInputError
 */
export async function requirePlaces(
  { layout, archive }: ResolvedBuild['bundle'],
  { cwd, policy }: Pick<PublishOptions, 'cwd' | 'policy'>,
): Promise<void> {
  const outputs = new SpecOutputs(cwd, policy.write);
  const check = async (name: 'layout' | 'archive', step: Promise<unknown>) =>
    await step.catch((error) => {
      throw error instanceof PathError ? error.at(`spec.build.bundle.${name}`) : error;
    });
  if (layout !== undefined)
    await check(
      'layout',
      outputs.requireDirectory(layout, ['blobs', 'blobs/sha256', 'index.json', 'oci-layout']),
    );
  if (archive !== undefined) await check('archive', outputs.requireFile(archive, isArchive, 'OCI archive'));
}

/**
 * For a bundle that is not built yet: what cannot be pushed is not built first.
 * @throws InvalidInputError
 */
export function requirePush({ repository }: ResolvedBuild['bundle'], policy: Pick<Policy, 'push'>): void {
  if (repository !== undefined && !mayPush(policy, repository)) throw refusePush(REPOSITORY, repository);
}

/**
 * The key that a bundle will be signed with; asked for before anything is built.
 * @returns undefined when nothing is to be signed
 * @throws InvalidInputError, TrustError TRUST_KEY_UNUSABLE
 */
export async function signingKeyFor(
  { attest, repository }: ResolvedBuild['bundle'],
  { policy, env = process.env, cwd }: Pick<PublishOptions, 'policy' | 'env' | 'cwd'>,
): Promise<SigningKey | undefined> {
  if (!attest || repository === undefined || !mayPush(policy, repository)) return undefined;
  const { readSigningKey, SIGNING_KEY_VARIABLE } = await import('../attestation/signing-key-file.ts');
  const file = env[SIGNING_KEY_VARIABLE];
  if (!file) throw invalidInput('spec.build.bundle.attest', `needs a key: ${SIGNING_KEY_VARIABLE}=FILE`);
  return await readSigningKey(undefined, { ...env, [SIGNING_KEY_VARIABLE]: resolve(cwd, file) });
}

/** The bundle with the statements about it that the registry does not have. */
async function withStatements(
  image: ImageSource,
  { bundle: { attest }, bootTest }: ResolvedBuild,
  key: SigningKey,
  request: {
    target: RegistryReference;
    artifacts: Artifacts;
    access: SourceOptions;
    options: PublishOptions;
  },
): Promise<ImageSource> {
  const { target, artifacts, access, options } = request;
  if (!attest) return image;
  const wantsFacts = attest.provenance || attest.bootTest;
  const evidence = wantsFacts ? await options.evidence?.() : undefined;
  if (wantsFacts && !evidence)
    throw invalidInput(
      'spec.build.bundle.attest',
      'demands what this machine does not know: the bundle was built elsewhere',
    );
  if (attest.bootTest) requireBootTests(artifacts, bootTest, evidence?.bootTests ?? []);
  const [{ newStatements }, { AttachedSource }, { openSource }] = await Promise.all([
    import('../bundle/evidence/attest.ts'),
    import('../oci/referrers/attached.ts'),
    import('../oci/open.ts'),
  ]);
  const { descriptor } = await image.root();
  const there = await openSource({ ...target, digest: descriptor.digest }, access);
  try {
    const wanted = {
      source: image,
      ...{ target, artifacts, key, signature: attest.signature, sbom: attest.sbom, now: Date.now() / 1000 },
      ...(attest.provenance && evidence && { provenance: evidence.provenance }),
      ...(evidence?.description && { description: evidence.description }),
      ...(attest.bootTest && evidence && { bootTests: evidence.bootTests }),
    };
    return new AttachedSource(image, await newStatements(wanted, there));
  } finally {
    await there.close();
  }
}

/** A boot test that has not been run is not attested. */
function requireBootTests(
  { qcows }: Artifacts,
  { timeout, firmware }: ResolvedBuild['bootTest'],
  passed: BuildEvidence['bootTests'],
): void {
  const field = 'spec.build.bundle.attest.bootTest';
  if (timeout === 0)
    throw invalidInput(field, 'is true, and there is no boot test: set spec.build.bootTest.timeout');
  const missing = Object.keys(qcows).flatMap((disk) =>
    firmware
      .filter((one) => !passed.some((test) => test.disk === disk && test.firmware === one))
      .map((one) => `${disk}/${one}`),
  );
  if (missing.length > 0) throw invalidInput(field, `is true, and ${missing.join(', ')} was not tested`);
}

/** Whether a file is an OCI archive, which may be replaced by another one. */
async function isArchive(path: string): Promise<boolean> {
  const { openArchiveFiles } = await import('../oci/sources/named-files.ts');
  const files = await openArchiveFiles(path).catch(() => undefined);
  try {
    return (await files?.size('oci-layout')) !== undefined;
  } catch {
    return false;
  } finally {
    await files?.close();
  }
}

async function manifestOf({ directory, digest }: FinishedBundle): Promise<Descriptor> {
  const { size } = await stat(blobPath(blobsDirectory(directory), digest));
  // The name of a blob is a digest: blobPath takes nothing else.
  return { mediaType: OCI_MANIFEST, digest: digest as Digest, size };
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
  const { openLayout } = await import('../oci/layout/layout-source.ts');
  const source = await openLayout({ transport: 'oci-archive', path, tag }).catch(() => undefined);
  try {
    return await source?.currentDigest();
  } catch {
    return undefined;
  } finally {
    await source?.close();
  }
}

/** Whether the tag stands for it already, so that nothing has to be pushed. */
async function isPublished(
  target: RegistryReference,
  digest: string,
  access: SourceOptions,
): Promise<boolean> {
  const { openSource } = await import('../oci/open.ts');
  const source = await openSource(target, access);
  try {
    return (await source.currentDigest()) === digest;
  } catch (error) {
    if (error instanceof RegistryError && error.code === 'NOT_FOUND') return false;
    throw error;
  } finally {
    await source.close();
  }
}

async function toRegistry(
  resolved: ResolvedBuild,
  { directory, digest, artifacts }: FinishedBundle,
  repository: string,
  options: PublishOptions,
): Promise<Published> {
  const { tag, disks, base } = resolved.bundle;
  const [
    { openLayout },
    { pushImage },
    { parseReference, formatReference },
    { withDisks },
    { diskReferences },
  ] = await Promise.all([
    import('../oci/layout/layout-source.ts'),
    import('../oci/distribution/push.ts'),
    import('../oci/reference.ts'),
    import('../bundle/disk-index.ts'),
    import('../bundle/disk-references.ts'),
  ]);
  const target = parseReference(`${repository}:${tag}`) as RegistryReference;
  const layout: FileReference = { transport: 'oci', path: directory, digest: digest as Digest };
  const source = await openLayout(layout);
  try {
    const architecture = resolved.rootfs.multistrap.rootfs_arch;
    const image = disks ? await withDisks({ source, artifacts, architecture }) : source;
    const below = typeof base === 'object' ? parseReference(base.image) : undefined;
    const access = {
      signal: options.signal,
      ...(options.credentials && { credentials: options.credentials }),
      ...(options.env && { environment: options.env }),
    };
    const { descriptor } = await image.root();
    if (mayPush(options.policy, repository)) {
      const key = await signingKeyFor(resolved.bundle, options);
      const request = { target, artifacts, access, options };
      const attested = key ? await withStatements(image, resolved, key, request) : image;
      await pushImage(attested, target, {
        ...access,
        referrersAgain: key !== undefined,
        report: options.report,
        // A registry that has the base already needs none of its layers.
        ...(below?.transport === 'registry' &&
          below.registry === target.registry && { mountFrom: [below.repository] }),
      });
    } else if (!(await isPublished(target, descriptor.digest, access))) {
      throw refusePush(REPOSITORY, repository);
    }
    const published = { ...target, digest: descriptor.digest };
    return {
      reference: { image: formatReference(published), digest: descriptor.digest },
      artifacts: disks ? diskReferences(artifacts, published) : artifacts,
    };
  } finally {
    await source.close();
  }
}

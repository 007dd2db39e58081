// Reads a bundle: its profiles, and what it knows of its disk images, in as few requests and bytes as possible.

import type { Image } from '../../oci/image.ts';
import { formatReference, parseReference, type Reference } from '../../oci/reference.ts';
import { BundleError } from '../bundle-error.ts';
import {
  ARTIFACTS_FILE,
  type Artifacts,
  type BundleContents,
  PROFILES_DIRECTORY,
  type Profile,
  QCOWS_DIRECTORY,
} from '../model.ts';
import { contentOf, type ImageFiles, planLayers, readFromLayers, readImageFiles } from './image-files.ts';
import { WHOLE_LAYER_BYTES } from './layer-access.ts';
import { markedLayer } from './layer-plan.ts';
import { type OpenImage, openImage, readingKey } from './open-image.ts';
import { cleanPath, nameOf } from './overlay/path.ts';
import type { OverlayQuery } from './overlay/wanted-paths.ts';
import { withinLimits } from './read-limits.ts';
import type { ReadBundleOptions } from './read-options.ts';
import { demanded, partialWarning, type Verification, weakest } from './verification.ts';

/** What a read cost. */
export interface ReadCost {
  /** HTTP requests, those for tokens included. */
  requests: number;
  /** Bytes received in HTTP bodies, or read from local files. */
  bytes: number;
  milliseconds: number;
}

export interface BundleReading extends BundleContents {
  cost: ReadCost;
  verification: Verification;
  /** What the user should know though it worked. */
  warnings: string[];
}

const DIRECTORY = cleanPath(PROFILES_DIRECTORY);
const QCOWS = cleanPath(QCOWS_DIRECTORY);
const ARTIFACTS = cleanPath(ARTIFACTS_FILE);
/** What bundles that do not describe themselves have beside their images. */
const MD5SUMS = { path: QCOWS, content: (name: string) => name.endsWith('.md5sum') };

/**
 * Reads the profiles and artifacts of a bundle.
 * @param text a reference as {@link parseReference} takes it
 * @throws RegistryError, TarError, BundleError
 */
export async function readBundle(text: string, options: ReadBundleOptions = {}): Promise<BundleReading> {
  return withinLimits(options, (limited) => read(text, limited));
}

async function read(text: string, options: ReadBundleOptions): Promise<BundleReading> {
  const started = process.uptime();
  const reference = parseReference(text);
  const { image, cache, close, cost, verdicts } = await openImage(reference, options);
  try {
    options.report?.({ type: 'step', stage: 'extract', message: `reading ${image.source.name}` });
    const verify = demanded(reference, options.verify);
    const key = JSON.stringify([readingKey(image, options), options.profiles ?? 'all', verify]);
    const known = await cache?.recall<Content>('readings', key);
    const content = known ?? (await readContent(image, reference, options.profiles, verify));
    await requireBootTests(verdicts, content.artifacts, image);
    // What was not checked counts for this reading alone, and is not kept.
    if (!known && content.verification !== 'partial') await cache?.remember('readings', key, content);
    const pinned = formatReference({ ...reference, digest: image.digest });
    const warning = partialWarning(content.verification, pinned);
    return {
      reference: { image: pinned, digest: image.digest },
      ...content,
      artifacts: await withReferences(content.artifacts, image, reference),
      warnings: [...image.source.warnings, ...(warning ? [warning] : [])],
      cost: { ...cost(), milliseconds: Math.round((process.uptime() - started) * 1000) },
    };
  } finally {
    await close();
  }
}

/** Which disks must have booted is known once the bundle has told which there are. */
async function requireBootTests(
  verdicts: OpenImage['verdicts'],
  { qcows }: Artifacts,
  { source }: Image,
): Promise<void> {
  if (verdicts.length === 0) return;
  const { enforceBootTests } = await import('../../attestation/policy.ts');
  for (const { policy, verdict } of verdicts) enforceBootTests(verdict, policy, qcows, source.name);
}

/** What is in the bundle, independent of where it was read from. */
type Content = Pick<BundleReading, 'profiles' | 'artifacts' | 'verification'>;

async function readContent(
  image: Image,
  reference: Reference,
  profiles: string[] | undefined,
  verify: Verification,
): Promise<Content> {
  const query = profileQuery(profiles);
  // What is read to its end anyway tells of images as well.
  if (verify === 'full' && !markedLayer(image.manifest, [DIRECTORY])) query.directories.push(MD5SUMS);
  const files = await readImageFiles(image, query, verify);
  const found = await artifactsOf(files, image, reference, verify);
  return {
    profiles: profilesOf(files, profiles, formatReference(reference)),
    artifacts: found.artifacts,
    verification: weakest(files.verification, found.verification),
  };
}

/** The bundle's disks have references of their own when the index that names it names them too. */
async function withReferences(artifacts: Artifacts, image: Image, reference: Reference): Promise<Artifacts> {
  if (reference.transport !== 'registry' || image.members.size < 2) return artifacts;
  const { diskReferences } = await import('../disk-references.ts');
  return diskReferences(artifacts, reference, image.members);
}

function profileQuery(paths: string[] | undefined): OverlayQuery {
  if (paths) return { files: paths.map(cleanPath), optional: [ARTIFACTS], directories: [] };
  return { files: [], optional: [ARTIFACTS], directories: [{ path: DIRECTORY, content: isProfileName }] };
}

function isProfileName(name: string): boolean {
  return /^profile_.*\.json$/.test(name);
}

function profilesOf(files: ImageFiles, paths: string[] | undefined, where: string): Profile[] {
  const found =
    paths?.map(cleanPath) ??
    (files.directories.get(DIRECTORY) ?? []).filter(isProfileName).map((name) => `${DIRECTORY}/${name}`);
  // A name in the directory that is not a file (a dangling link, a directory) is not a profile.
  const readable = paths ? found : found.filter((path) => files.files.has(path));
  if (readable.length === 0) {
    throw new BundleError(
      'NOT_A_BUNDLE',
      `${where} is not a bundle: it has no ${PROFILES_DIRECTORY}/profile_*.json`,
      {
        hint: 'Check the reference; to read other files use image-builder extract REF PATH.',
      },
    );
  }
  return readable.map((path) => ({
    path: `/${path}`,
    name: nameOf(path).replace(/\.json$/, ''),
    json: jsonText(contentOf(files, path, where), path, where),
  }));
}

function jsonText(content: Buffer, path: string, where: string): string {
  try {
    // Text in another encoding would become other text without a word.
    const json = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content);
    JSON.parse(json);
    return json;
  } catch (cause) {
    const what = cause instanceof SyntaxError ? `JSON: ${cause.message}` : 'UTF-8 text';
    throw new BundleError('INVALID_CONTENT', `/${path} of ${where} is not ${what}`, { cause });
  }
}

/** Artifacts, and how far what they say was checked. */
interface Described {
  artifacts: Artifacts;
  verification: Verification;
}

async function artifactsOf(
  files: ImageFiles,
  image: Image,
  reference: Reference,
  verify: Verification,
): Promise<Described> {
  const { verification } = files;
  if (files.files.has(ARTIFACTS)) {
    const { parseArtifacts } = await import('../artifacts.ts');
    const json = contentOf(files, ARTIFACTS, image.source.name).toString('utf8');
    return { artifacts: parseArtifacts(json, image.source.name), verification };
  }
  if (files.directories.get(QCOWS)) return { artifacts: await foreignArtifacts(files), verification };
  return cheapArtifacts(image, reference, verify);
}

/** Names and checksums from /qcows of a bundle that does not describe itself, if they can be had for next to nothing. */
async function cheapArtifacts(image: Image, reference: Reference, verify: Verification): Promise<Described> {
  const nothing: Described = { artifacts: { qcows: {} }, verification: 'full' };
  if (verify === 'full') return nothing;
  const query: OverlayQuery = { files: [], directories: [MD5SUMS] };
  const plan = await planLayers(image, query, verify);
  const isKnownToLie =
    reference.transport !== 'registry' || plan.layers.length < image.manifest.layers.length;
  const isCheap = plan.layers.every(({ size, mediaType }) => {
    if (size <= WHOLE_LAYER_BYTES) return true;
    const hasRanges = image.source.range !== undefined && mediaType.endsWith('.tar');
    return verify === 'partial' && hasRanges && isKnownToLie;
  });
  if (!isCheap) return nothing;
  const found = await readFromLayers(image, plan, query, verify);
  return { artifacts: await foreignArtifacts(found), verification: found.verification };
}

async function foreignArtifacts(found: ImageFiles): Promise<Artifacts> {
  const { parseMd5sum } = await import('../artifacts.ts');
  const qcows: Artifacts['qcows'] = {};
  for (const file of (found.directories.get(QCOWS) ?? []).filter((name) => name.endsWith('.qcow2'))) {
    const md5 = parseMd5sum(found.files.get(`${QCOWS}/${file}.md5sum`)?.content?.toString('utf8') ?? '');
    // As in artifacts.json: names end up in URLs and file names.
    if (!/^[A-Za-z0-9][\w.+-]*$/.test(file)) continue;
    qcows[file.replace(/\.qcow2$/, '')] = { file, format: 'qcow2', ...(md5 && { md5 }) };
  }
  return { qcows };
}

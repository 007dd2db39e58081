// Gets the disk images out of a bundle: downloaded by whole layers, checked, resumable, and in place only when right.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Image } from '../registry/image.ts';
import type { Descriptor } from '../registry/manifest.ts';
import { formatReference, parseReference } from '../registry/reference.ts';
import { DownloadedSource } from '../registry/sources/downloaded.ts';
import { StreamByteReader } from '../tar/byte-reader.ts';
import { TarReader } from '../tar/reader.ts';
import { parseArtifacts, parseMd5sum } from './artifacts.ts';
import { BundleError } from './error.ts';
import { type ImageFiles, planLayers, readFromLayers } from './image-files.ts';
import { markedLayer } from './layer-plan.ts';
import { openImage } from './open-image.ts';
import { cleanPath, isWithin, nameOf } from './overlay/path.ts';
import type { OverlayFile } from './overlay/read.ts';
import type { OverlayQuery } from './overlay/watch.ts';
import type { ReadBundleOptions } from './read.ts';
import { ARTIFACTS_FILE, type Checksums, QCOWS_DIRECTORY } from './types.ts';
import { demanded, type Verification } from './verification.ts';

/** Downloads lie here, inside the target directory, until the copy has succeeded. */
const DOWNLOADS = '.image-builder-download';
const QCOWS = cleanPath(QCOWS_DIRECTORY);
const ISO = 'iso';
/** For bundles that do not describe themselves: whatever is in the directories. */
const FOREIGN_QUERY: OverlayQuery = {
  files: [],
  directories: [QCOWS, ISO].map((path) => ({
    path,
    list: true,
    content: (name: string) => name.endsWith('.md5sum'),
  })),
};
const ALGORITHMS = ['md5', 'sha256', 'sha512'] as const;

export interface CopiedFile extends Checksums {
  /** Absolute path of the copy. */
  path: string;
  /** Bytes. */
  size: number;
  /** It was there already, with the right checksum. */
  existed: boolean;
}

/**
 * Copies the disk images (and the ISO) of a bundle into a directory.
 * @param names only these files; default: all
 * @throws RegistryError, TarError, BundleError FILE_NOT_FOUND, CHECKSUM_MISMATCH
 */
export async function copyBundle(
  text: string,
  directory: string,
  names: string[],
  options: ReadBundleOptions,
): Promise<{ reference: string; files: CopiedFile[] }> {
  const reference = parseReference(text);
  const { image, close } = await openImage(reference, options);
  const progress = (done: number, total: number) =>
    options.report?.({ type: 'bytes', stage: 'copy', done, total });
  const downloads =
    image.source.resumable && new DownloadedSource(image.source, join(directory, DOWNLOADS), progress);
  try {
    await mkdir(directory, { recursive: true });
    const local = downloads ? image.readingFrom(downloads) : image;
    const verify = demanded(reference, options.verify);
    const files = await copyFrom(local, resolve(directory), names, verify);
    if (downloads) await downloads.remove();
    return { reference: formatReference({ ...reference, digest: image.digest }), files };
  } finally {
    await close();
  }
}

async function copyFrom(
  image: Image,
  directory: string,
  names: string[],
  verify: Verification,
): Promise<CopiedFile[]> {
  const described = await describedFiles(image);
  const query = described ? { files: [...described.keys()], directories: [] } : FOREIGN_QUERY;
  const plan = await planLayers(image, query, verify);
  const found = await readFromLayers(image, plan, query, verify);
  const files = new Map(
    [...found.files]
      .filter(([path]) => isWithin(path, QCOWS) || isWithin(path, ISO))
      .map(([path, file]) => [nameOf(path), file]),
  );
  const missing = names.filter((name) => !files.has(name));
  if (missing.length > 0 || files.size === 0) {
    const what = missing.length > 0 ? `no image ${missing.join(', ')}` : `nothing in ${QCOWS_DIRECTORY}`;
    const hint = files.size > 0 ? `It has ${[...files.keys()].join(', ')}.` : 'Check the reference.';
    throw new BundleError('FILE_NOT_FOUND', `${image.source.name} has ${what}`, { hint });
  }
  const expected = new Map([
    ...checksumFiles(found),
    ...[...(described ?? [])].map(([path, sums]) => [nameOf(path), sums] as const),
  ]);
  const copied = new Map<string, CopiedFile>();
  const pending = new Map<string, OverlayFile>();
  for (const name of names.length > 0 ? names : files.keys()) {
    const file = files.get(name) as OverlayFile;
    const existing = await existingCopy(join(directory, name), file.size, expected.get(name));
    if (existing) copied.set(name, existing);
    else pending.set(name, file);
  }
  for (const [index, layer] of plan.layers.entries()) {
    const here = new Map([...pending].filter(([, file]) => file.origin.layer === index));
    if (here.size > 0) await copyLayer(image, layer, here, directory, expected, copied);
  }
  return [...copied.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Paths and checksums of a bundle that describes itself; undefined for any other. */
async function describedFiles(image: Image): Promise<Map<string, Partial<Checksums>> | undefined> {
  const path = cleanPath(ARTIFACTS_FILE);
  const marked = markedLayer(image.manifest, [path]);
  if (!marked) return undefined;
  const query: OverlayQuery = { files: [], optional: [path], directories: [] };
  const found = await readFromLayers(
    image,
    { layers: [marked], leftOut: [], coverage: 'full' },
    query,
    'full',
  );
  const json = found.files.get(path)?.content?.toString('utf8');
  if (json === undefined) return undefined;
  const { qcows, iso } = parseArtifacts(json, image.source.name);
  const files = new Map<string, Partial<Checksums>>(
    Object.values(qcows).map((qcow) => [`${QCOWS}/${qcow.file}`, qcow]),
  );
  if (iso) files.set(`${ISO}/${iso.file}`, iso);
  return files;
}

/** The `.md5sum` files beside the images, by the name of the image. */
function checksumFiles(found: ImageFiles): [string, Partial<Checksums>][] {
  return [...found.files].flatMap(([path, { content }]) => {
    const md5 = path.endsWith('.md5sum') ? parseMd5sum(content?.toString('utf8') ?? '') : undefined;
    return md5 ? [[nameOf(path).replace(/\.md5sum$/, ''), { md5 }] as [string, Partial<Checksums>]] : [];
  });
}

/** Copies files of one layer in one pass, then puts them in place once the whole layer has been checked. */
async function copyLayer(
  image: Image,
  layer: Descriptor,
  files: Map<string, OverlayFile>,
  directory: string,
  expected: Map<string, Partial<Checksums>>,
  copied: Map<string, CopiedFile>,
): Promise<void> {
  const partials = new Map<string, string>();
  const open = image.layer(layer);
  const bytes = new StreamByteReader(open.tar);
  try {
    const tar = new TarReader(bytes, `layer ${layer.digest}`);
    for (let entry = await tar.next(); entry; entry = await tar.next()) {
      const path = cleanPath(entry.path);
      for (const [name, file] of files) {
        if (entry.type !== 'file' || path !== file.origin.path) continue;
        const partial = join(directory, `.${nameOf(name)}.${process.pid}.partial`);
        partials.set(name, partial);
        // The last of several entries wins: an earlier copy is written over.
        copied.set(name, {
          ...(await writeChecked(tar.data(), partial)),
          path: join(directory, name),
          existed: false,
        });
        break;
      }
    }
    await open.finish();
    for (const [name, partial] of partials) {
      const copy = copied.get(name) as CopiedFile;
      checkAgainst(name, copy, expected.get(name));
      await rename(partial, copy.path);
      partials.delete(name);
    }
  } finally {
    await bytes.close();
    await open.close();
    for (const partial of partials.values()) await rm(partial, { force: true });
  }
}

async function writeChecked(
  data: AsyncIterable<Buffer>,
  path: string,
): Promise<Checksums & { size: number }> {
  const hashes = ALGORITHMS.map((name) => createHash(name));
  let size = 0;
  const file = await open(path, 'w', 0o644);
  try {
    for await (const chunk of data) {
      for (const hash of hashes) hash.update(chunk);
      await file.writeFile(chunk);
      size += chunk.length;
    }
    await file.sync();
  } finally {
    await file.close();
  }
  const [md5 = '', sha256 = '', sha512 = ''] = hashes.map((hash) => hash.digest('hex'));
  return { size, md5, sha256, sha512 };
}

/** A copy that an earlier run finished. Without a known checksum nothing is taken for granted. */
async function existingCopy(
  path: string,
  size: number,
  expected: Partial<Checksums> | undefined,
): Promise<CopiedFile | undefined> {
  if (!expected?.sha256 && !expected?.md5) return undefined;
  const found = await stat(path).catch(() => undefined);
  if (!found?.isFile() || found.size !== size) return undefined;
  const hashes = ALGORITHMS.map((name) => createHash(name));
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 }) as AsyncIterable<Buffer>) {
    for (const hash of hashes) hash.update(chunk);
  }
  const [md5 = '', sha256 = '', sha512 = ''] = hashes.map((hash) => hash.digest('hex'));
  const isSame = ALGORITHMS.every(
    (name) => expected[name] === undefined || expected[name] === { md5, sha256, sha512 }[name],
  );
  return isSame ? { path, size, md5, sha256, sha512, existed: true } : undefined;
}

function checkAgainst(name: string, actual: Checksums, expected: Partial<Checksums> | undefined): void {
  for (const algorithm of ALGORITHMS) {
    const promised = expected?.[algorithm];
    if (promised !== undefined && promised !== actual[algorithm]) {
      throw new BundleError(
        'CHECKSUM_MISMATCH',
        `${name} has the ${algorithm} ${actual[algorithm]}, the bundle says ${promised}`,
        {
          hint: 'The bundle was put together wrongly; tell whoever published it.',
        },
      );
    }
  }
}

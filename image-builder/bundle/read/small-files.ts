// Any small files of an image, and lists of what is in it.

import { formatReference, parseReference } from '../../oci/reference.ts';
import { contentOf, type ImageFiles, readImageFiles } from './image-files.ts';
import { openImage } from './open-image.ts';
import { cleanPath } from './overlay/path.ts';
import type { OverlayQuery } from './overlay/wanted-paths.ts';
import type { ReadCost } from './read-bundle.ts';
import { withinLimits } from './read-limits.ts';
import type { ReadBundleOptions } from './read-options.ts';
import { demanded, partialWarning, type Verification } from './verification.ts';

interface Reading {
  cost: ReadCost;
  verification: Verification;
  warnings: string[];
}

/** A file in a listing. */
export interface ListedFile {
  /** Absolute path in the image. */
  path: string;
  /** Bytes. */
  size: number;
}

/**
 * Reads whole files, in the order of the paths.
 * @throws RegistryError, TarError, BundleError
 */
export async function readFiles(
  reference: string,
  paths: string[],
  options: ReadBundleOptions,
): Promise<Reading & { files: { path: string; content: Buffer }[] }> {
  const wanted = paths.map(cleanPath);
  const query = { files: wanted, directories: [] };
  const reading = await withinLimits(options, (limited) => read(reference, query, limited));
  const files = wanted.map((path) => ({
    path: `/${path}`,
    content: contentOf(reading.found, path, reference),
  }));
  return { files, ...reading.facts };
}

/**
 * Lists the files below directories, sorted.
 * @throws RegistryError, TarError, BundleError
 */
export async function listFiles(
  reference: string,
  directories: string[],
  options: ReadBundleOptions,
): Promise<Reading & { files: ListedFile[] }> {
  const query: OverlayQuery = {
    files: [],
    directories: directories.map((path) => ({
      path: cleanPath(path),
      recursive: true,
      list: true,
      content: () => false,
    })),
  };
  const { found, facts } = await withinLimits(options, (limited) => read(reference, query, limited));
  const files = [...found.files.values()].map(({ path, size }) => ({ path: `/${path}`, size }));
  return { files: files.sort((a, b) => (a.path < b.path ? -1 : 1)), ...facts };
}

async function read(
  text: string,
  query: OverlayQuery,
  options: ReadBundleOptions,
): Promise<{ found: ImageFiles; facts: Reading }> {
  const started = process.uptime();
  const reference = parseReference(text);
  const { image, close, cost } = await openImage(reference, options);
  try {
    const found = await readImageFiles(image, query, demanded(reference, options.verify));
    const { verification } = found;
    const warning = partialWarning(verification, formatReference({ ...reference, digest: image.digest }));
    const warnings = [...image.source.warnings, ...(warning ? [warning] : [])];
    const milliseconds = Math.round((process.uptime() - started) * 1000);
    return { found, facts: { verification, warnings, cost: { ...cost(), milliseconds } } };
  } finally {
    await close();
  }
}

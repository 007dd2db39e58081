// Pins references to digests in files: `repository:tag` becomes `repository:tag@sha256:...`, the form that Renovate keeps
// up to date.

import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { throwIfCancelled } from '../../base/diagnostics/cancelled.ts';
import { ImageBuilderError } from '../../base/diagnostics/error.ts';
import { writeBeside } from '../../base/files/replace.ts';
import { openSource } from '../../oci/open.ts';
import { parseReference, type RegistryReference } from '../../oci/reference.ts';
import { BundleError } from '../bundle-error.ts';
import { withinLimits } from '../read/read-limits.ts';
import type { ReadBundleOptions } from '../read/read-options.ts';
import { findReferences, type Place } from './find.ts';

/** A reference in a file. */
export interface ReferenceInFile {
  file: string;
  /** 1-based. */
  line: number;
  /** As written. */
  reference: string;
}

export interface PinnedReference extends ReferenceInFile {
  digest: string;
}

/** Why a reference is as it was. */
export interface UnpinnedReference extends ReferenceInFile {
  error: Error;
}

export interface Pinning {
  pinned: PinnedReference[];
  /** What could not be pinned; everything else was. */
  failed: UnpinnedReference[];
}

/** Registry references without a digest. Nothing is written or asked. */
export async function findUnpinned(paths: string[]): Promise<ReferenceInFile[]> {
  const found: ReferenceInFile[] = [];
  for (const file of await yamlFiles(paths)) {
    for (const { reference, line } of findReferences(await readFile(file, 'utf8'))) {
      const parsed = registryReference(reference);
      if (parsed && parsed.digest === undefined) found.push({ file, line, reference });
    }
  }
  return found;
}

/**
 * Rewrites files. With `update`, pinned tags are set to what they stand for now. One reference that cannot be resolved
 * keeps no other from being pinned.
 * @throws CancelledError; the error of a file that cannot be read or written
 */
export async function pinFiles(
  paths: string[],
  update: boolean,
  options: ReadBundleOptions,
): Promise<Pinning> {
  const digests = new Map<string, Promise<string>>();
  const result: Pinning = { pinned: [], failed: [] };
  for (const file of await yamlFiles(paths)) {
    const text = await readFile(file, 'utf8');
    const changes: { start: number; end: number; replacement: string }[] = [];
    for (const found of findReferences(text)) {
      const reference = registryReference(found.reference);
      if (!reference?.tag || (reference.digest && !update)) continue;
      const { registry, repository, tag } = reference;
      const key = `${registry}/${repository}:${tag}`;
      const asked =
        digests.get(key) ?? resolveDigest({ transport: 'registry', registry, repository, tag }, options);
      digests.set(key, asked);
      const where = { file, line: found.line, reference: found.reference };
      try {
        const digest = await asked;
        if (digest === reference.digest) continue;
        if (!found.place) throw notEditable();
        changes.push({ ...found.place, replacement: pinnedText(text, found.place, tag, digest) });
        result.pinned.push({ ...where, digest });
      } catch (error) {
        throwIfCancelled(options.signal);
        if (!(error instanceof ImageBuilderError)) throw error;
        result.failed.push({ ...where, error });
      }
    }
    if (changes.length > 0) await keepMode(file, rewrite(text, changes));
  }
  return result;
}

function pinnedText(text: string, { start, end, tagOnly }: Place, tag: string, digest: string): string {
  const written = text.slice(start, end).replace(/@.*$/, '');
  // `repository` alone means latest; the tag has to be there for Renovate.
  const named =
    tagOnly || written.lastIndexOf(':') > written.lastIndexOf('/') ? written : `${written}:${tag}`;
  return `${named}@${digest}`;
}

function notEditable(): BundleError {
  return new BundleError(
    'NOT_EDITABLE',
    'it is written in a form that cannot be changed without touching more of the file',
    {
      hint: 'Write the reference itself there, once, not an alias.',
    },
  );
}

function registryReference(text: string): RegistryReference | undefined {
  try {
    const reference = parseReference(text);
    return reference.transport === 'registry' ? reference : undefined;
  } catch {
    // Placeholders and the like are not references.
    return undefined;
  }
}

async function resolveDigest(reference: RegistryReference, options: ReadBundleOptions): Promise<string> {
  return withinLimits(options, async (limited) => {
    const source = await openSource(reference, limited);
    try {
      return (await source.currentDigest()) ?? (await source.root()).descriptor.digest;
    } finally {
      await source.close();
    }
  });
}

function rewrite(text: string, changes: { start: number; end: number; replacement: string }[]): string {
  let result = text;
  // From the end, so that the offsets before stay true.
  for (const { start, end, replacement } of changes.toReversed()) {
    result = result.slice(0, start) + replacement + result.slice(end);
  }
  return result;
}

/** With the permissions that the file has. */
async function keepMode(file: string, text: string): Promise<void> {
  const { mode } = await stat(file);
  await writeBeside(file, async (written) => {
    await written.writeFile(text);
    await written.chmod(mode & 0o7777);
  });
}

/** The files themselves, and all YAML files below directories, hidden ones left out. */
async function yamlFiles(paths: string[]): Promise<string[]> {
  const files: string[] = [];
  for (const path of paths) {
    if (!(await stat(path)).isDirectory()) {
      files.push(path);
      continue;
    }
    const entries = (await readdir(path, { withFileTypes: true })).filter(
      ({ name }) => !name.startsWith('.') && name !== 'node_modules',
    );
    const children = entries
      .filter((entry) => entry.isDirectory() || /\.ya?ml$/.test(entry.name))
      .map(({ name }) => join(path, name));
    files.push(...(await yamlFiles(children.sort())));
  }
  return files;
}

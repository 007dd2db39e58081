// Pins references to digests in files: `repository:tag` becomes `repository:tag@sha256:...`, the form that Renovate keeps
// up to date.

import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeBeside } from '../../files/replace.ts';
import { openSource } from '../../registry/open.ts';
import { parseReference, type RegistryReference } from '../../registry/reference.ts';
import type { ReadBundleOptions } from '../read.ts';
import { withinLimits } from '../read-limits.ts';
import { type FoundReference, findReferences } from './find.ts';

export interface PinnedReference {
  file: string;
  /** 1-based. */
  line: number;
  /** As written. */
  reference: string;
  digest: string;
}

/** Registry references without a digest. Nothing is written or asked. */
export async function findUnpinned(paths: string[]): Promise<Omit<PinnedReference, 'digest'>[]> {
  const found: Omit<PinnedReference, 'digest'>[] = [];
  for (const file of await yamlFiles(paths)) {
    for (const { reference, line } of findReferences(await readFile(file, 'utf8'))) {
      if (registryReference(reference)?.digest === undefined && registryReference(reference))
        found.push({ file, line, reference });
    }
  }
  return found;
}

/**
 * Rewrites files. With `update`, pinned tags are set to what they stand for now.
 * @throws RegistryError when a reference cannot be resolved; files done before stay pinned
 */
export async function pinFiles(
  paths: string[],
  update: boolean,
  options: ReadBundleOptions,
): Promise<PinnedReference[]> {
  const digests = new Map<string, string>();
  const pinned: PinnedReference[] = [];
  for (const file of await yamlFiles(paths)) {
    const text = await readFile(file, 'utf8');
    const changes: (FoundReference & { digest: string; replacement: string })[] = [];
    for (const found of findReferences(text)) {
      const reference = registryReference(found.reference);
      if (!reference?.tag || (reference.digest && !update)) continue;
      const { registry, repository, tag } = reference;
      const key = `${registry}/${repository}:${tag}`;
      const digest =
        digests.get(key) ??
        (await resolveDigest({ transport: 'registry', registry, repository, tag }, options));
      digests.set(key, digest);
      if (digest === reference.digest) continue;
      const written = text.slice(found.start, found.end).replace(/@.*$/, '');
      // `repository` alone means latest; the tag has to be there for Renovate.
      const named =
        found.tagOnly || written.lastIndexOf(':') > written.lastIndexOf('/') ? written : `${written}:${tag}`;
      changes.push({ ...found, digest, replacement: `${named}@${digest}` });
    }
    if (changes.length > 0) await keepMode(file, rewrite(text, changes));
    pinned.push(...changes.map(({ line, reference, digest }) => ({ file, line, reference, digest })));
  }
  return pinned;
}

function registryReference(text: string): RegistryReference | undefined {
  try {
    const reference = parseReference(text);
    return reference.transport === 'registry' ? reference : undefined;
  } catch {
    // Placeholders and the like are no references.
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

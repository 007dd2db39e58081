// Reads files of the source tree. Only for modules of this directory: the bundled executables have no source tree.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, posix } from 'node:path';

/** image-builder/ in the source tree. */
export const SOURCE_ROOT = join(__dirname, '..');

/** The regular files below image-builder/`directory` as text, sorted by path; none when it does not exist. */
export function readTree(directory: string): { path: string; content: string; mode: number }[] {
  const files: { path: string; content: string; mode: number }[] = [];
  const entries = readEntries(join(SOURCE_ROOT, directory));
  for (const entry of entries) {
    const path = posix.join(directory, entry.name);
    if (entry.isDirectory()) files.push(...readTree(path));
    // Python leaves its byte code beside Ansible modules that were run from the tree.
    else if (entry.isFile() && !entry.name.endsWith('.pyc')) {
      const absolute = join(SOURCE_ROOT, path);
      const mode = statSync(absolute).mode & 0o100 ? 0o755 : 0o644;
      files.push({ path, content: readFileSync(absolute, 'utf8'), mode });
    }
  }
  return files;
}

function readEntries(directory: string) {
  try {
    // By code unit, not by locale: the order goes into a hash that must be the same on every machine.
    return readdirSync(directory, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** The text of a file, relative to image-builder/. */
export function readSource(path: string): string {
  return readFileSync(join(SOURCE_ROOT, path), 'utf8');
}

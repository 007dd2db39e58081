// Versions of the tools that influence what a build writes, read from dpkg's database: running ten tools with
// --version would cost more than a whole render.
import { readFile } from 'node:fs/promises';
import type { ToolVersions } from './plan.ts';

const STATUS_FILE = '/var/lib/dpkg/status';

/** Versions of the installed ones among `packages`; empty on a machine without dpkg. */
export async function installedVersions(
  packages: Iterable<string>,
  statusFile = STATUS_FILE,
): Promise<ToolVersions> {
  const text = await readFile(statusFile, 'latin1').catch(() => '');
  return parseVersions(text, packages);
}

/** The versions in a text of dpkg's database (deb-control(5) paragraphs). Pure. */
export function parseVersions(status: string, packages: Iterable<string>): ToolVersions {
  const versions: Record<string, string> = {};
  for (const name of packages) {
    const start = status.startsWith(`Package: ${name}\n`) ? 0 : status.indexOf(`\nPackage: ${name}\n`);
    if (start < 0) continue;
    const end = status.indexOf('\n\n', start + 1);
    const paragraph = status.slice(start, end < 0 ? undefined : end);
    const version = /^Version: (.+)$/m.exec(paragraph)?.[1];
    // A removed package leaves its paragraph behind when it has configuration files.
    if (version && /^Status: \S+ \S+ installed$/m.test(paragraph)) versions[name] = version;
  }
  return versions;
}

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
  const wanted = new Set(packages);
  const versions: Record<string, string> = {};
  for (let start = 0; start < status.length; ) {
    const next = status.indexOf('\n\n', start);
    const end = next < 0 ? status.length : next;
    // The name is the first field; most paragraphs are not looked into any further.
    const name = status.slice(start + PACKAGE.length, status.indexOf('\n', start));
    if (wanted.has(name) && !Object.hasOwn(versions, name) && status.startsWith(PACKAGE, start)) {
      const paragraph = status.slice(start, end);
      const version = /^Version: (.+)$/m.exec(paragraph)?.[1];
      // A removed package leaves its paragraph behind when it has configuration files.
      if (version && /^Status: \S+ \S+ installed$/m.test(paragraph)) versions[name] = version;
    }
    start = end + 2;
  }
  return versions;
}

const PACKAGE = 'Package: ';

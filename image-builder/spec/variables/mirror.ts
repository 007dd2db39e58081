// The mirrors that this machine's apt is set up with: the default of a build of the same family of distributions.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type AptSource, parseAptSources } from './apt-sources.ts';

/** Base URIs without a trailing slash. */
export interface Mirrors {
  archive?: string;
  /** Debian has its security updates on other hosts than its archive. */
  security?: string;
}

/** A mirror as a build uses it. Base URIs without a trailing slash. */
export interface ChosenMirror {
  /** What the image's own apt gets, and part of the image's identity. */
  source: string;
  /** Where this build fetches from, in this order. */
  from: string[];
}

/** The mirrors of a build. */
export interface ChosenMirrors {
  archive: ChosenMirror;
  /** Absent: the image gets no security updates of its own repository. */
  security?: ChosenMirror;
}

/** The sources of the apt configuration below `directory` (/etc/apt); none when it cannot be read. */
export async function readAptSources(directory: string): Promise<AptSource[]> {
  const parts = await readdir(join(directory, 'sources.list.d')).catch(() => []);
  const paths = [
    'sources.list',
    ...parts
      .filter((name) => /^[\w.-]+\.(list|sources)$/.test(name))
      .sort()
      .map((name) => join('sources.list.d', name)),
  ];
  const sources: AptSource[] = [];
  for (const path of paths) {
    const text = await readFile(join(directory, path), 'utf8').catch(() => '');
    for (const source of parseAptSources(path, text)) {
      sources.push({ ...source, uri: await resolveMirrorList(source.uri) });
    }
  }
  return sources;
}

/** apt-transport-mirror(1): the URI names a file with one mirror per line, best first. Cloud images are set up so. */
async function resolveMirrorList(uri: string): Promise<string> {
  const file = /^mirror\+file:(?:\/\/)?(\/.*)$/.exec(uri)?.[1];
  if (file === undefined) return uri;
  const text = await readFile(file, 'utf8').catch(() => '');
  const first = text.split('\n').find((line) => /^\s*https?:/.test(line));
  return first?.trim().split(/\s+/)[0]?.replace(/\/+$/, '') ?? uri;
}

/**
 * The archive's mirror, and that of the security updates, of a family of distributions.
 * A third party's repository can use the suite names of a distribution: what tells a mirror is that its path ends in
 * the name of the family (or a snapshot of it) and that it has `main`.
 */
export function chooseMirrors(
  sources: readonly AptSource[],
  family: 'debian' | 'ubuntu',
  architecture: string,
): Mirrors {
  const path = new RegExp(`^https?://[^?#]*/${family}(-ports)?(/[0-9]{8}T[0-9]{6}Z)?$`);
  const securityPath = /^https?:\/\/[^?#]*\/debian-security(\/[0-9]{8}T[0-9]{6}Z)?$/;
  const usable = sources.filter(
    ({ components, architectures }) =>
      components.includes('main') && (architectures.length === 0 || architectures.includes(architecture)),
  );
  const archive = usable.find(({ uri, suite }) => path.test(uri) && !suite.endsWith('-security'));
  const security = usable.find(
    ({ uri, suite }) => securityPath.test(uri) && /[-/](security|updates)$/.test(suite),
  );
  return {
    ...(archive ? { archive: archive.uri } : {}),
    ...(security && family === 'debian' ? { security: security.uri } : {}),
  };
}

// A repository of nothing but the packages of an image, in the work directory: whoever installs from it can choose nothing
// else, and reads two hundred paragraphs instead of the lists of a whole distribution.
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { StageContext } from '../../sandbox/stage-context.ts';
import { Apt, type PackageFile } from './apt.ts';

/** A package file that is here, its hash verified, and what its control file says. */
export interface ChosenPackage
  extends Pick<PackageFile, 'name' | 'version' | 'architecture' | 'file' | 'size'> {
  /** Hex; that of the package list or of the lock. */
  sha256: string;
  /** Its control file or its paragraph in a package list (deb822(5)). */
  control: string;
}

/** A repository of chosen packages, and an apt that knows no other. */
export interface ChosenRepository {
  apt: Apt;
  /** Its deb822 source. */
  sourceText: string;
}

/**
 * Makes a flat repository of packages below the work directory.
 * @param name of the repository in the work directory; none of that name is there yet
 * @param codename what mmdebstrap looks for essential packages in
 * @param preferences apt_preferences(5)
 */
export async function makeChosenRepository(
  name: string,
  packages: readonly ChosenPackage[],
  { codename, architecture, preferences }: { codename: string; architecture: string; preferences: string },
  context: StageContext,
): Promise<ChosenRepository> {
  const directory = join(context.workDir, name);
  await mkdir(directory);
  const index = packages.map(renderIndexEntry).join('\n');
  await writeFile(join(directory, 'Packages'), index);
  const bytes = Buffer.from(index);
  const digest = createHash('sha256').update(bytes).digest('hex');
  const release = `Codename: ${codename}\nSuite: ${codename}\nDate: ${new Date(0).toUTCString()}\nSHA256:\n ${digest} ${bytes.length} Packages\n`;
  await writeFile(join(directory, 'Release'), release);
  // Trusted: every file was checked against a signed list or the lock when it was fetched, and apt checks it again.
  const sourceText = `Types: deb\nURIs: copy:${directory}\nSuites: /\nTrusted: yes\n`;
  const apt = await Apt.create(
    { directory: join(context.workDir, `apt-${name}`), architecture, preferences, credentials: '' },
    context,
  );
  await apt.update(sourceText);
  return { apt, sourceText };
}

/** Fields of a package list that tell where a file is, and what: here it is another place, and one hash is enough. */
const PLACE_FIELDS = /^(Filename|Size|MD5sum|SHA1|SHA256|SHA512):.*\n(?:[ \t].*\n)*/gim;

/** The paragraph of a package in the list of the repository. Pure. */
export function renderIndexEntry({
  control,
  file,
  size,
  sha256,
}: Omit<ChosenPackage, 'name' | 'version' | 'architecture'>): string {
  const fields = `${control.trimEnd()}\n`.replace(PLACE_FIELDS, '');
  return `${fields}Filename: ${file}\nSize: ${size}\nSHA256: ${sha256}\n`;
}

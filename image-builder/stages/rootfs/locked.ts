// Fetches what a lock file names: exactly these packages, each checked against its hash. The package lists of the real repositories are only looked at when one is missing.
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { StageContext } from '../../sandbox/stage-context.ts';
import { ToolError } from '../../sandbox/tool-error.ts';
import { nameOfRequest } from '../../spec/variables/package-names.ts';
import type { LockedPackage, ResolvedLock } from '../../spec/variables/resolved-lock.ts';
import type { ResolvedRepository } from '../../spec/variables/resolved-multistrap.ts';
import { withoutCredentials } from '../../spec/variables/uri.ts';
import { Apt, type PackageFile } from './apt.ts';
import { renderAuth } from './apt-credentials.ts';
import { keyField } from './apt-errors.ts';
import { renderPins } from './apt-sources.ts';
import { ArchiveAccess, type ArchiveInputs } from './archive-access.ts';
import type { ChosenPackage } from './chosen-repository.ts';
import { distributionKey, type Key, keyFromText, repositoryKey } from './keyrings.ts';
import { checkNodePackages } from './node-packages.ts';
import { putIntoCache, takeFromCache } from './package-cache.ts';
import { RootfsError } from './rootfs-error.ts';

/** What {@link openLocked} has fetched. */
export interface LockedPackages {
  /** Directory of the package files. */
  archives: string;
  packages: ChosenPackage[];
  /** Names of those that were asked for; the others came with them. */
  requested: string[];
  /** Keys of the real repositories, in their order. */
  keys: Key[];
}

/**
 * Gets every package of the lock: out of the cache, from the place where it was, or from wherever a repository has the
 * same file now.
 * @throws RootfsError LOCKED_PACKAGE_GONE or LOCKED_PACKAGE_CHANGED, naming all of them
 */
export async function openLocked(
  lock: ResolvedLock,
  inputs: ArchiveInputs & { cacheDir?: string },
  context: StageContext,
): Promise<LockedPackages> {
  const { workDir } = context;
  const { multistrap, cacheDir, origins } = inputs;
  checkNodePackages(lock.packages, origins);
  const apt = await Apt.create(
    {
      directory: join(workDir, 'apt-locked'),
      architecture: multistrap.rootfs_arch,
      preferences: renderPins(multistrap.unapproved_packages),
      credentials: renderAuth(Object.values(inputs.sources ?? {}).flat()),
    },
    context,
  );
  const files = lock.packages.map((locked) => ({ ...locked, url: '', file: archiveName(locked) }));
  const cache = cacheDir === undefined ? undefined : join(cacheDir, 'packages');
  if (cache !== undefined) await takeFromCache(cache, files, apt.archives, context.signal);
  await fetchMissing(files, apt, inputs, context);
  if (cache !== undefined) await putIntoCache(cache, files, apt.archives);

  const controls = await controlFiles(files, apt, context);
  return {
    archives: apt.archives,
    packages: files.map((file, index) => ({ ...file, control: controls[index] ?? '' })),
    requested: lock.requested.map(nameOfRequest),
    keys: await lockedKeys(lock, inputs, context),
  };
}

/** As apt names it in its cache. */
const archiveName = ({ name, version, architecture }: LockedPackage) =>
  `${name}_${version.replaceAll(':', '%3a')}_${architecture}.deb`;

type LockedFile = LockedPackage & PackageFile & { sha256: string };

async function fetchMissing(
  files: readonly LockedFile[],
  apt: Apt,
  inputs: ArchiveInputs,
  context: StageContext,
): Promise<void> {
  const wrong = new Set<LockedFile>();
  const fetch = async (wanted: readonly { file: LockedFile; url: string }[], attempts: number) => {
    const path = (file: LockedFile) => join(apt.archives, 'partial', file.file);
    await apt.fetch(
      wanted.map(({ file, url }) => ({ url, path: path(file) })),
      attempts,
    );
    for (const { file } of wanted) {
      const sha256 = await digestOf(path(file), context);
      if (sha256 === file.sha256) await rename(path(file), join(apt.archives, file.file));
      else await rm(path(file), { force: true });
      if (sha256 !== undefined && sha256 !== file.sha256) wrong.add(file);
    }
  };

  let missing = await absentFiles(files, apt, context);
  const places = new Map(inputs.multistrap.repos.map((repository) => [repository.name, repository]));
  const sourcesOf = (file: LockedFile): readonly string[] => {
    const repository = places.get(file.repository);
    return repository
      ? (inputs.sources?.[file.repository] ?? [repository.source]).map(withoutCredentials)
      : [];
  };
  const rounds = Math.max(0, ...missing.map((file) => sourcesOf(file).length));
  for (let round = 0; round < rounds && missing.length > 0; round++) {
    const wanted = missing.flatMap((file) => {
      const source = sourcesOf(file)[round];
      return source === undefined ? [] : [{ file, url: `${source}/${file.path}` }];
    });
    await fetch(wanted, round === rounds - 1 ? inputs.multistrap.multistrap_retries + 1 : 1);
    missing = await absentFiles(files, apt, context);
  }
  if (missing.length === 0) return;

  // The same file may have moved, for example from the security updates to a point release.
  const archive = await ArchiveAccess.open(inputs, context);
  const found = await Promise.all(missing.map(({ name, version }) => archive.apt.find(name, version)));
  await fetch(
    missing.flatMap((file, index) => {
      const { url, sha256 } = found[index] ?? {};
      if (url !== undefined && sha256 !== undefined && sha256 !== file.sha256) wrong.add(file);
      return url !== undefined && sha256 === file.sha256 ? [{ file, url }] : [];
    }),
    inputs.multistrap.multistrap_retries + 1,
  );
  missing = await absentFiles(files, apt, context);
  if (missing.length > 0) throw await explainMissing(missing, wrong, archive);
}

async function explainMissing(
  missing: readonly LockedFile[],
  wrong: ReadonlySet<LockedFile>,
  archive: ArchiveAccess,
): Promise<RootfsError> {
  const lines = await Promise.all(
    missing.map(async (file) => {
      const { name, version, sha256 } = file;
      if (wrong.has(file)) return `${name} ${version} differs from ${sha256}`;
      const versions = await archive.apt.versions(name);
      const now = versions.length > 0 ? `available: ${versions.join(', ')}` : 'no other version is available';
      return `${name} ${version} is gone; ${now}`;
    }),
  );
  const changed = missing.some((file) => wrong.has(file));
  const names = missing.map(({ name }) => name).join(', ');
  return changed
    ? new RootfsError('LOCKED_PACKAGE_CHANGED', `different from the lock file: ${names}`, {
        field: 'spec.build.lock',
        output: lines,
        hint: 'somebody replaced a file under the same version; find out who and why before locking again',
      })
    : new RootfsError('LOCKED_PACKAGE_GONE', `the repositories no longer have locked packages: ${names}`, {
        field: 'spec.build.lock',
        output: lines,
        hint: 'add a mirror that keeps old versions to the list of mirrors, or update with "image-builder lock"',
      });
}

/** Those that are not among apt's archives. */
async function absentFiles(
  files: readonly LockedFile[],
  { archives }: Apt,
  { sandbox, signal }: StageContext,
): Promise<LockedFile[]> {
  const present = new Set((await sandbox.run(['ls', archives], { signal })).split('\n'));
  return files.filter(({ file }) => !present.has(file));
}

/** Hex SHA-256 of a file, undefined when it is not there. */
async function digestOf(path: string, { sandbox, signal }: StageContext): Promise<string | undefined> {
  return await sandbox.run(['sha256sum', path], { signal }).then(
    (output) => output.slice(0, 64),
    (error: unknown) => {
      if (error instanceof ToolError && error.code === 'TOOL_FAILED') return undefined;
      throw error;
    },
  );
}

/** The control file of each, in their order. */
async function controlFiles(
  files: readonly LockedFile[],
  { archives }: Apt,
  { sandbox, signal }: StageContext,
): Promise<string[]> {
  const list = files.map(({ file }) => `${file}\n`).join('');
  const output = await sandbox.run(['sh', '-euc', CONTROL], { cwd: archives, input: list, signal });
  return output.split(/\n\n+/);
}

const CONTROL = `
while read -r file; do
  dpkg-deb --field "$file"
  echo
done`;

/** Keys as the lock and the spec have them; nothing is fetched. */
async function lockedKeys(lock: ResolvedLock, inputs: ArchiveInputs, context: StageContext): Promise<Key[]> {
  const { distribution, multistrap } = inputs;
  const directory = join(context.workDir, 'keys');
  const own = await distributionKey(distribution, directory, context);
  const keyOf = async (repository: ResolvedRepository): Promise<Key> => {
    if (repository.keyring_pkg === distribution.keyring.package) return own;
    const text = lock.keyrings[repository.name];
    if (text !== undefined) return await keyFromText(directory, repository.name, text);
    return await repositoryKey(
      repository,
      keyField(repository, inputs.origins),
      directory,
      unlocked,
      context,
    );
  };
  const keys: Key[] = [];
  for (const repository of multistrap.repos) keys.push(await keyOf(repository));
  return keys;
}

const unlocked = (name: string): Promise<string> => {
  throw new RootfsError('KEY_UNAVAILABLE', `the lock file has no keys of the package ${name}`, {
    field: 'spec.build.lock',
    hint: 'create it again with "image-builder lock"',
  });
};

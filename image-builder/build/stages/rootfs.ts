// Stage rootfs: the packages of the image as a tar, and what was really installed.
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { roomFor, type StageContext } from '../../executors/stage.ts';
import { Apt, type PackageFile, putIntoCache, takeFromCache } from '../../rootfs/apt.ts';
import { explainFetchError, explainPlanError } from '../../rootfs/apt-errors.ts';
import { packTree } from '../../rootfs/archive.ts';
import { bootstrap } from '../../rootfs/bootstrap.ts';
import { cleanTree } from '../../rootfs/clean.ts';
import { distributionKey, type Key, repositoryKey } from '../../rootfs/keyrings.ts';
import { renderLinkFile, renderPins, renderSource, requestedPackages } from '../../rootfs/repositories.ts';
import type { ResolvedBuild, ResolvedRepository } from '../../variables/types.ts';
import { newestRelease } from '../epoch.ts';

export interface RootfsInputs {
  distribution: ResolvedBuild['distribution'];
  mirror: string;
  multistrap: ResolvedBuild['rootfs']['multistrap'];
  /** Directory that outlives the build, for package files; none: everything is fetched. */
  cacheDir?: string;
  /** Time stamp of everything, in seconds; default: the date of the newest repository. */
  sourceDateEpoch?: number;
}

/** Versions of what is installed, by package name. */
export type InstalledPackages = Record<string, { version: string; architecture: string }>;

/** Names of the stage's results in its output directory. */
export const ROOTFS_FILE = 'rootfs.tar';
export const PACKAGES_FILE = 'packages.json';

/** Room that a package takes while it is installed, in sizes of its file: that file itself, and some four times that. */
const INSTALLED_RATIO = 8;

/**
 * Writes `rootfs.tar` and `packages.json` ({@link InstalledPackages}) to the output directory.
 * @returns the time stamp of everything in it, and the tree itself, still unpacked
 * @throws RootfsError, which names the field of the spec; ToolError
 */
export async function buildRootfs(
  inputs: RootfsInputs,
  outer: StageContext,
): Promise<{ sourceDateEpoch: number; tree: string; packages: InstalledPackages }> {
  const { distribution, multistrap } = inputs;
  const step = (message: string) => outer.report({ type: 'step', stage: outer.stage, message });
  const packages = requestedPackages(multistrap, distribution.boot_packages);

  step('fetch the package lists');
  const { apt, keys } = await prepareApt(inputs, outer);
  const sourceDateEpoch = inputs.sourceDateEpoch ?? (await newestRelease(apt.lists));
  const context: StageContext = { ...outer, sourceDateEpoch };
  step(`choose and fetch ${packages.length} packages and what they need`);
  const files = await fetchPackages(inputs, packages, apt, context);

  step('install the packages');
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  const tree = join(await roomFor(bytes * INSTALLED_RATIO, context), 'tree');
  const sources = multistrap.repos.map((repository, index) =>
    renderSource(repository, multistrap.rootfs_arch, keys[index]?.path ?? ''),
  );
  const options = {
    tree,
    codename: distribution.codename,
    architecture: multistrap.rootfs_arch,
    packages,
    sources: sources.join('\n'),
    preferences: renderPins(multistrap.unapproved_packages),
  };
  await bootstrap(options, apt, context);
  await configureApt(tree, inputs, keys, context);
  await cleanTree(tree, context);

  step('pack the root file system');
  const installed = await writePackages(tree, context);
  await packTree(tree, join(context.outputDir, ROOTFS_FILE), context);
  return { sourceDateEpoch, tree, packages: installed };
}

/**
 * The package files that {@link buildRootfs} would install now, with their hashes; fetches package lists, no packages.
 * @throws RootfsError, which names the field of the spec; ToolError
 */
export async function planRootfs(inputs: RootfsInputs, context: StageContext): Promise<PackageFile[]> {
  const { apt } = await prepareApt(inputs, context);
  return planPackages(inputs, requestedPackages(inputs.multistrap, inputs.distribution.boot_packages), apt);
}

function planPackages(
  { multistrap }: RootfsInputs,
  packages: readonly string[],
  apt: Apt,
): Promise<PackageFile[]> {
  return apt.plan(packages).catch((error: unknown) => {
    throw explainPlanError(error, multistrap);
  });
}

/** A private apt with the lists of all repositories, and the key of each repository. */
async function prepareApt(
  { distribution, mirror, multistrap }: RootfsInputs,
  context: StageContext,
): Promise<{ apt: Apt; keys: Key[] }> {
  const { workDir } = context;
  const own = await distributionKey(distribution, join(workDir, 'keys'), context);
  const isOwn = ({ keyring_pkg }: ResolvedRepository) => keyring_pkg === distribution.keyring.package;
  const create = async (name: string, repositories: [ResolvedRepository, Key][]) => {
    const sources = repositories.map(([repository, key], index): [string, string] => [
      `${index}-${repository.name}`,
      renderSource(repository, multistrap.rootfs_arch, key.path),
    ]);
    const apt = await Apt.create(
      {
        directory: join(workDir, name),
        architecture: multistrap.rootfs_arch,
        sources: Object.fromEntries(sources),
        preferences: renderPins(multistrap.unapproved_packages),
      },
      context,
    );
    await withRetries(multistrap, context, () => apt.update()).catch((error: unknown) => {
      throw explainFetchError(error, multistrap.repos, mirror);
    });
    return apt;
  };
  // A keyring package is only trusted when the distribution's key vouches for it.
  const fetchKeyring = async (name: string) => {
    const owned = multistrap.repos
      .filter(isOwn)
      .map((repository): [ResolvedRepository, Key] => [repository, own]);
    const apt = await create(`apt-${name}`, owned);
    return apt.downloadPackage(name, join(workDir, 'keys', name));
  };
  const keys: Key[] = [];
  for (const repository of multistrap.repos) {
    keys.push(
      isOwn(repository) ? own : await repositoryKey(repository, join(workDir, 'keys'), fetchKeyring, context),
    );
  }
  const all = multistrap.repos.map((repository, index): [ResolvedRepository, Key] => [
    repository,
    keys[index] ?? own,
  ]);
  return { apt: await create('apt', all), keys };
}

async function fetchPackages(
  inputs: RootfsInputs,
  packages: readonly string[],
  apt: Apt,
  context: StageContext,
): Promise<PackageFile[]> {
  const { multistrap, mirror, cacheDir } = inputs;
  const files = await planPackages(inputs, packages, apt);
  const cache = cacheDir === undefined ? undefined : join(cacheDir, 'packages');
  if (cache !== undefined) await takeFromCache(cache, files, apt.archives, context);
  await withRetries(multistrap, context, () => apt.download(packages)).catch((error: unknown) => {
    throw explainFetchError(error, multistrap.repos, mirror);
  });
  if (cache !== undefined) await putIntoCache(cache, files, apt.archives);
  return files;
}

async function withRetries<Result>(
  { multistrap_retries: retries, multistrap_retries_delay: seconds }: RootfsInputs['multistrap'],
  { signal, report, stage }: StageContext,
  action: () => Promise<Result>,
): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await action();
    } catch (error) {
      if (attempt > retries || signal.aborted) throw error;
      report({ type: 'step', stage, message: `failed, attempt ${attempt + 1} in ${seconds} s` });
      await delay(seconds * 1000, undefined, { signal });
    }
  }
}

/** Gives the image's own apt the repositories that it should know, and systemd the names of network interfaces. */
async function configureApt(
  tree: string,
  { distribution, multistrap }: RootfsInputs,
  keys: readonly Key[],
  { workDir, sandbox, signal }: StageContext,
): Promise<void> {
  const files = join(workDir, 'files');
  for (const directory of ['etc/apt/sources.list.d', 'etc/apt/keyrings', 'etc/systemd/network']) {
    await mkdir(join(files, directory), { recursive: true });
  }
  const registered = [...multistrap.repos.entries()].filter(
    ([, repository]) => repository.register_repo_with_rootfs,
  );
  const copies: string[] = [];
  for (const [index, repository] of registered) {
    const key = keys[index];
    if (key === undefined) continue;
    const isOwn = repository.keyring_pkg === distribution.keyring.package;
    const path = isOwn ? distribution.keyring.path : `/etc/apt/keyrings/${key.name}`;
    copies.push(key.path, path);
    const source = renderSource(repository, multistrap.rootfs_arch, path);
    await writeFile(join(files, 'etc/apt/sources.list.d', `${repository.name}.sources`), source);
  }
  await writeFile(join(files, 'etc/systemd/network/99-default.link'), renderLinkFile(multistrap));
  await sandbox.run(['sh', '-euc', INSTALL_FILES, 'sh', files, tree, ...copies], { signal });
}

// A key that a package has installed stays the package's.
const INSTALL_FILES = `
files=$1 tree=$2; shift 2
rm -rf "$tree/etc/apt/sources.list" "$tree/etc/apt/sources.list.d"
cp -r --no-preserve=all "$files/." "$tree/"
while [ $# -gt 0 ]; do
  [ -e "$tree$2" ] || install -D -m 0644 "$1" "$tree$2"
  shift 2
done`;

async function writePackages(
  tree: string,
  { sandbox, signal, outputDir }: StageContext,
): Promise<InstalledPackages> {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own notation, see dpkg-query(1)
  const format = '${db:Status-Abbrev}\t${Package}\t${Version}\t${Architecture}\n';
  const output = await sandbox.run(
    ['dpkg-query', `--admindir=${tree}/var/lib/dpkg`, '--show', `--showformat=${format}`],
    { signal },
  );
  const rows = output.split('\n').map((line) => line.split('\t'));
  const installed = rows.flatMap(
    ([status, name, version, architecture]): [string, InstalledPackages[string]][] =>
      status?.startsWith('ii') && name !== undefined && version !== undefined && architecture !== undefined
        ? [[name, { version, architecture }]]
        : [],
  );
  installed.sort(([a], [b]) => (a < b ? -1 : 1));
  const packages = Object.fromEntries(installed);
  const path = join(outputDir, PACKAGES_FILE);
  await writeFile(`${path}.partial`, `${JSON.stringify(packages, null, 2)}\n`);
  await rename(`${path}.partial`, path);
  return packages;
}

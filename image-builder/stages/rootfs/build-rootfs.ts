// The packages of the image as a tar, and what was really installed.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { replaceFile } from '../../base/files/replace.ts';
import { newestRelease } from '../../pipeline/epoch.ts';
import { ENTER_TREE } from '../../sandbox/enter-tree.ts';
import { roomFor, type StageContext } from '../../sandbox/stage-context.ts';
import type { PackageArchive } from '../../sbom/spdx.ts';
import type { ResolvedLock } from '../../spec/variables/resolved-lock.ts';
import {
  renderLinkFile,
  renderPins,
  renderSource,
  requestedOfBase,
  requestedPackages,
} from './apt-sources.ts';
import { packTree } from './archive.ts';
import { ArchiveAccess, type ArchiveInputs } from './archive-access.ts';
import { makeBaseTree } from './base-tree.ts';
import { type Installation, installTop, type TreeSettings } from './bootstrap.ts';
import { cleanTree } from './clean.ts';
import type { Key } from './keyrings.ts';
import { divide, type ImagePackages } from './layers.ts';
import { openLocked } from './locked.ts';
import { decompressPackages } from './package-data.ts';
import { type PackageResolution, resolutionOf } from './resolution.ts';
import {
  ARCHIVES_FILE,
  type InstalledPackages,
  PACKAGES_FILE,
  RESOLUTION_FILE,
  ROOTFS_FILE,
  type RootfsFacts,
} from './rootfs-entry.ts';
import { RootfsError } from './rootfs-error.ts';

/** What a root file system is made of. */
export interface RootfsSources extends ArchiveInputs {
  /** The exact packages; default: what the repositories have now. */
  lock?: ResolvedLock;
  /** Directory that outlives the build, for package files and bases; none: everything is fetched and installed. */
  cacheDir?: string;
  /** What decides the bytes of a base beside packages and settings: code and tools, as plain data. */
  madeBy?: unknown;
  /** Time stamp of everything, in seconds; default: that of the lock, or the date of the newest repository. */
  sourceDateEpoch?: number;
}

/** Room that a package takes while it is installed, in sizes of its file: that file, and its contents twice, some four times that. */
const INSTALLED_RATIO = 10;

/**
 * Writes `rootfs.tar`, `packages.json` ({@link InstalledPackages}) and `archives.json` to the output directory.
 * @returns the time stamp of everything in it, and the tree itself, still unpacked
 * @throws RootfsError, which names the field of the spec; ToolError
 */
export async function buildRootfs(
  inputs: RootfsSources,
  outer: StageContext,
): Promise<RootfsFacts & { tree: string }> {
  const { distribution, multistrap } = inputs;
  const { sourceDateEpoch, keys, ...packages } = await obtainPackages(inputs, outer);
  const context: StageContext = { ...outer, sourceDateEpoch };

  const tree = join(await roomFor(packages.bytes * INSTALLED_RATIO, context), 'tree');
  const settings = {
    codename: distribution.codename,
    architecture: multistrap.rootfs_arch,
    preferences: renderPins(multistrap.unapproved_packages),
    pathExclude: multistrap.path_exclude,
    pathInclude: multistrap.path_include,
  };
  const { base, top } = await divide(
    {
      ...packages,
      requestedOfBase: requestedOfBase(packages.requested, multistrap, distribution),
      debconf: multistrap.debconf,
    },
    settings,
    context,
  );
  const cache =
    inputs.cacheDir === undefined ? undefined : { cacheDir: inputs.cacheDir, madeBy: inputs.madeBy };
  const [data, made] = await Promise.allSettled([
    // While dpkg, or tar, is busy with the base.
    cache && decompressPackages(top.packages, top.archives, cache.cacheDir, context),
    makeBaseTree(tree, base, settings, cache, context),
  ]);
  if (made.status === 'rejected') throw made.reason;
  if (data.status === 'rejected') throw data.reason;
  const { kept } = made.value;
  const layer = { ...top, ...(data.value !== undefined && { data: data.value }) };
  const [finished, stored] = await Promise.allSettled([
    finishTree(tree, layer, settings, { ...packages, keys }, inputs, context),
    // Also when a package on top of it cannot be installed: whoever mends that starts from here.
    kept,
  ]);
  if (finished.status === 'rejected') throw finished.reason;
  if (stored.status === 'rejected') throw stored.reason;
  return { sourceDateEpoch, tree, packages: finished.value };
}

/** What comes on top of the base, and the files of the output directory. */
async function finishTree(
  tree: string,
  top: Installation,
  settings: TreeSettings,
  { keys, published, resolution }: Pick<ObtainedPackages, 'keys' | 'published' | 'resolution'>,
  inputs: RootfsSources,
  context: StageContext,
): Promise<InstalledPackages> {
  const { outputDir } = context;
  context.step('install the packages on top of it');
  await installTop(tree, top, settings, context);
  await configureApt(tree, inputs, keys, context);
  await cleanTree(tree, context);

  context.step('pack the root file system');
  await writeFile(join(outputDir, ARCHIVES_FILE), `${JSON.stringify(published)}\n`);
  if (resolution) await writeFile(join(outputDir, RESOLUTION_FILE), `${JSON.stringify(resolution)}\n`);
  const [installed] = await Promise.all([
    writePackages(tree, context),
    packTree(tree, join(outputDir, ROOTFS_FILE), context),
  ]);
  return installed;
}

/** Packages whose files are here. */
interface ObtainedPackages extends Pick<ImagePackages, 'archives' | 'packages' | 'requested'> {
  /** Keys of the repositories, in their order. */
  keys: readonly Key[];
  sourceDateEpoch: number;
  /** Size of their files, in bytes. */
  bytes: number;
  /** Where each of them is published. */
  published: PackageArchive[];
  /** What a lock file would say; absent when there is one, and when a repository does not tell hashes. */
  resolution?: PackageResolution;
}

async function obtainPackages(inputs: RootfsSources, context: StageContext): Promise<ObtainedPackages> {
  const { lock, cacheDir, sourceDateEpoch } = inputs;
  if (lock !== undefined) {
    context.step(`fetch the ${lock.packages.length} packages of the lock file`);
    return {
      ...(await openLocked(lock, inputs, context)),
      sourceDateEpoch: sourceDateEpoch ?? lock.sourceDateEpoch,
      bytes: sumOfSizes(lock.packages),
      published: lock.packages.map((locked) => publishedArchive(locked, locked, inputs)),
    };
  }
  const requested = requestedPackages(inputs.multistrap, inputs.distribution.boot_packages);
  context.step('fetch the package lists');
  const archive = await ArchiveAccess.open(inputs, context, cacheDir);
  try {
    context.step(`choose and fetch ${requested.length} packages and what they need`);
    const files = await archive.fetch(requested, cacheDir);
    const { apt, keys } = archive;
    const resolution = await resolutionOf(archive, files, inputs).catch((error: unknown) => {
      if (error instanceof RootfsError && error.code === 'NOT_LOCKABLE') return undefined;
      throw error;
    });
    return {
      archives: apt.archives,
      packages: await archive.describe(files),
      requested,
      keys,
      ...(resolution && { resolution }),
      sourceDateEpoch: sourceDateEpoch ?? resolution?.sourceDateEpoch ?? (await newestRelease(apt.lists)),
      bytes: sumOfSizes(files),
      published: files.map((file) => {
        const { repository, path } = archive.locate(file) ?? {};
        return publishedArchive(file, { repository: repository?.name, path }, inputs);
      }),
    };
  } finally {
    await archive.close();
  }
}

/** The place is the one that the spec names first: which mirror has served a file is of no consequence to what it is. */
function publishedArchive(
  {
    name,
    version,
    architecture,
    sha256,
  }: Pick<PackageArchive, 'name' | 'version' | 'architecture' | 'sha256'>,
  place: { repository?: string | undefined; path?: string | undefined },
  { multistrap }: RootfsSources,
): PackageArchive {
  const source = multistrap.repos.find((repository) => repository.name === place.repository)?.source;
  const url = source && place.path !== undefined ? `${source}/${place.path}` : undefined;
  return { name, version, architecture, ...(url && { url }), ...(sha256 && { sha256 }) };
}

const sumOfSizes = (files: readonly { size: number }[]) => files.reduce((sum, { size }) => sum + size, 0);

/** Gives the image's own apt the repositories that it should know, and systemd the names of network interfaces. */
async function configureApt(
  tree: string,
  { distribution, multistrap }: RootfsSources,
  keys: readonly Key[],
  { workDir, sandbox, signal }: StageContext,
): Promise<void> {
  const [files, keyFiles] = [join(workDir, 'files'), join(workDir, 'key-files')];
  const put = async (directory: string, path: string, content: string | Buffer) => {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), content);
  };
  await mkdir(keyFiles);
  const registered = [...multistrap.repos.entries()].filter(
    ([, repository]) => repository.register_repo_with_rootfs,
  );
  for (const [index, repository] of registered) {
    const key = keys[index];
    if (key === undefined) continue;
    const isOwn = repository.keyring_pkg === distribution.keyring.package;
    const path = isOwn ? distribution.keyring.path : `/etc/apt/keyrings/${key.name}`;
    await put(keyFiles, path, await readFile(key.path));
    const source = renderSource(repository, multistrap.rootfs_arch, path);
    await put(files, `etc/apt/sources.list.d/${repository.name}.sources`, source);
  }
  await put(files, 'etc/systemd/network/99-default.link', renderLinkFile(multistrap));
  await sandbox.run(['sh', '-euc', INSTALL_FILES, 'sh', tree, ENTER_TREE, files, keyFiles], {
    signal,
    confined: { writable: [tree], readable: [files, keyFiles] },
  });
}

// By processes in the tree, so that no link leads out of it. A key that a package has installed stays the package's.
const INSTALL_FILES = `
tree=$1 enter=$2
inside() { python3 -ISc "$enter" "$tree" "$@"; }
put() {
  directory=$1; shift
  tar --create --owner=0 --group=0 --mode=u=rwX,go=rX --directory="$directory" . |
    inside tar --extract --no-same-owner --touch --directory=/ "$@"
}
inside rm -rf /etc/apt/sources.list /etc/apt/sources.list.d
put "$3" --no-overwrite-dir
put "$4" --skip-old-files`;

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
  await replaceFile(join(outputDir, PACKAGES_FILE), `${JSON.stringify(packages, null, 2)}\n`);
  return packages;
}

// Installs the packages into an empty directory with mmdebstrap, from package lists and files that are already here.
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { StageContext } from '../../sandbox/stage-context.ts';
import { ToolError } from '../../sandbox/tool-error.ts';
import type { Apt } from './apt.ts';
import { DpkgErrors } from './dpkg-errors.ts';
import { RootfsError } from './rootfs-error.ts';

export interface BootstrapOptions {
  /** Where the tree is made; must not exist, its parent must. */
  tree: string;
  codename: string;
  architecture: string;
  packages: readonly string[];
  /** deb822 sources with the keys as they are on this machine. */
  sources: string;
  /** apt_preferences(5), in force while packages are installed and afterwards in the image. */
  preferences: string;
  /** Answers for packages that ask by debconf(7), as debconf-set-selections(1) reads them; may hold secrets. */
  debconf: string;
  /** Patterns of dpkg(1) of files that it leaves out; in force in the image, too. */
  pathExclude: readonly string[];
  /** Those of them that it installs all the same. */
  pathInclude: readonly string[];
}

/**
 * @throws RootfsError INSTALLATION_FAILED with what dpkg says of the packages that failed.
 */
export async function bootstrap(options: BootstrapOptions, apt: Apt, context: StageContext): Promise<void> {
  const { tree, sources, preferences, debconf } = options;
  const { sandbox, workDir, signal, output, sourceDateEpoch } = context;
  // Packages' scripts see this directory; they cannot change it, but for the tree in it.
  await sandbox.run(['mkdir', tree], { signal });
  const files = {
    sources: 'sources.sources',
    preferences: 'preferences',
    setup: 'setup.sh',
    debconf: 'debconf',
    paths: 'dpkg-paths',
  };
  await writeFile(join(workDir, files.sources), sources);
  await writeFile(join(workDir, files.preferences), preferences);
  await writeFile(join(workDir, files.setup), SETUP);
  await writeFile(
    join(workDir, files.paths),
    pathOptions(options)
      .map((line) => `${line}\n`)
      .join(''),
  );
  await writeFile(join(workDir, files.debconf), debconf, { mode: 0o600 });
  const argv = bootstrapCommand(options, join(workDir, files.sources));
  const complaints = new DpkgErrors();
  try {
    await sandbox.run(argv, {
      confined: { writable: [tree], readable: [workDir, ...localRepositories(sources)] },
      env: {
        SOURCE_DATE_EPOCH: String(sourceDateEpoch),
        DEBIAN_FRONTEND: 'noninteractive',
        // Thousands of short programs run, and each would load what C.UTF-8 consists of; noticeable where they are emulated.
        LC_ALL: 'C',
        // The kernel's packages would make the initramfs once for each trigger; it is made once, after osconfig.
        INITRD: 'No',
        IMAGE_BUILDER_SETUP: join(workDir, files.setup),
        IMAGE_BUILDER_LISTS: apt.lists,
        IMAGE_BUILDER_ARCHIVES: apt.archives,
        IMAGE_BUILDER_DEBCONF: join(workDir, files.debconf),
        IMAGE_BUILDER_PREFERENCES: join(workDir, files.preferences),
        IMAGE_BUILDER_PATHS: join(workDir, files.paths),
      },
      onLine: (line) => {
        complaints.read(line);
        output(line);
      },
      signal,
    });
  } catch (error) {
    if (!(error instanceof ToolError) || error.code !== 'TOOL_FAILED') throw error;
    const { packages: failed, lines } = complaints;
    const what =
      failed.length > 0 ? `installing ${failed.join(', ')} failed` : 'the packages could not be installed';
    throw new RootfsError('INSTALLATION_FAILED', what, {
      cause: error,
      output: lines.length > 0 ? lines : (error.output ?? []),
    });
  } finally {
    await rm(join(workDir, files.debconf), { force: true });
  }
}

/** Directories of sources on this machine: apt takes package files from where they are. */
const localRepositories = (sources: string): string[] =>
  [...sources.matchAll(/^URIs: (?:file|copy):(?:\/\/)?(\/.*)$/gm)].map(([, path = '']) => path);

/** The command that installs the packages. Pure. */
export function bootstrapCommand(
  options: Omit<BootstrapOptions, 'sources' | 'preferences'>,
  sourcesFile: string,
): string[] {
  const { tree, codename, architecture, packages, debconf } = options;
  return [
    'mmdebstrap',
    // dpkg's own lines: for the log, and for the error when a package cannot be installed.
    '--verbose',
    '--mode=root',
    '--variant=minbase',
    '--format=directory',
    `--architectures=${architecture}`,
    // The lists and the package files come out of the private apt, by the set-up hook.
    '--skip=update,download/empty,check/signed-by,check/chrootless,check/qemu',
    '--aptopt=APT::Sandbox::User "root"',
    '--aptopt=Acquire::Languages "none"',
    '--aptopt=APT::Install-Recommends "false"',
    // The tree is thrown away when anything fails: nothing in it has to survive a crash.
    '--dpkgopt=force-unsafe-io',
    // mmdebstrap unpacks the essential packages itself, and leaves out the same.
    ...pathOptions(options).map((option) => `--dpkgopt=${option}`),
    `--include=${packages.join(',')}`,
    '--setup-hook=sh "$IMAGE_BUILDER_SETUP" "$1"',
    // As early as there is a debconf: all packages but the essential ones find their answers.
    ...(debconf === ''
      ? []
      : ['--essential-hook=chroot "$1" debconf-set-selections < "$IMAGE_BUILDER_DEBCONF"']),
    codename,
    tree,
    sourcesFile,
  ];
}

/** Of dpkg(1): the last that fits counts. */
const pathOptions = ({ pathExclude, pathInclude }: Pick<BootstrapOptions, 'pathExclude' | 'pathInclude'>) => [
  ...pathExclude.map((pattern) => `path-exclude=${pattern}`),
  ...pathInclude.map((pattern) => `path-include=${pattern}`),
];

// Runs outside of the tree, before anything is installed. Hard links where the file system allows them.
const SETUP = `
set -eu
tree=$1
mkdir -p "$tree/var/lib/apt/lists/partial" "$tree/var/cache/apt/archives/partial" "$tree/etc/apt/preferences.d"
cp -l "$IMAGE_BUILDER_ARCHIVES"/*.deb "$tree/var/cache/apt/archives/" 2>/dev/null ||
  cp "$IMAGE_BUILDER_ARCHIVES"/*.deb "$tree/var/cache/apt/archives/"
find "$IMAGE_BUILDER_LISTS" -maxdepth 1 -type f ! -name lock -exec cp -t "$tree/var/lib/apt/lists/" {} +
[ ! -s "$IMAGE_BUILDER_PREFERENCES" ] ||
  cp "$IMAGE_BUILDER_PREFERENCES" "$tree/etc/apt/preferences.d/image-builder-unapproved"
[ ! -s "$IMAGE_BUILDER_PATHS" ] ||
  install -D -m 644 "$IMAGE_BUILDER_PATHS" "$tree/etc/dpkg/dpkg.cfg.d/image-builder-paths"
`;

// Installs packages with mmdebstrap, from package lists and files that are already here: those of the base into an empty
// directory, the others into the tree of the base.
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { StageContext } from '../../sandbox/stage-context.ts';
import { ToolError } from '../../sandbox/tool-error.ts';
import type { ChosenRepository } from './chosen-repository.ts';
import { DEFER, PACKAGE_PATH, RUN_DEFERRED } from './deferred-work.ts';
import { DpkgErrors } from './dpkg-errors.ts';
import { PLACE_DATA } from './package-data.ts';
import { RootfsError } from './rootfs-error.ts';
import { ASK_FOR_TMPFILES, answeringTmpfiles } from './tmpfiles-outside.ts';

/** Packages to install. */
export interface Installation {
  /** Where they come from. */
  repository: ChosenRepository;
  /** Directory of the package files. */
  archives: string;
  /** Names of the package files that are needed. */
  files: readonly string[];
  /** Names of the packages that are asked for; sorted. */
  requested: readonly string[];
  /** Answers for packages that ask by debconf(7), as debconf-set-selections(1) reads them; may hold secrets. */
  debconf: string;
  /** Directory of the decompressed contents of some of them ({@link PLACE_DATA}). */
  data?: string;
}

/** What holds for all packages of an image. */
export interface TreeSettings {
  codename: string;
  architecture: string;
  /** apt_preferences(5), in force while packages are installed and afterwards in the image. */
  preferences: string;
  /** Patterns of dpkg(1) of files that it leaves out; in force in the image, too. */
  pathExclude: readonly string[];
  /** Those of them that it installs all the same. */
  pathInclude: readonly string[];
}

/**
 * Makes a tree of what every system has, and of the packages.
 * @param tree must not exist; its parent must
 * @throws RootfsError INSTALLATION_FAILED with what dpkg says of the packages that failed.
 */
export async function installBase(
  tree: string,
  packages: Installation,
  settings: TreeSettings,
  context: StageContext,
): Promise<void> {
  const { sandbox, signal } = context;
  // Packages' scripts see this directory; they cannot change it, but for the tree in it.
  await sandbox.run(['mkdir', tree], { signal });
  await runMmdebstrap('base', baseCommand, tree, packages, settings, context);
}

/**
 * Installs packages into the tree of a base: those that are asked for, what they need, and whatever else is in the
 * repository.
 * @throws RootfsError INSTALLATION_FAILED with what dpkg says of the packages that failed.
 */
export async function installTop(
  tree: string,
  packages: Installation,
  settings: TreeSettings,
  context: StageContext,
): Promise<void> {
  await runMmdebstrap('top', topCommand, tree, packages, settings, context);
}

async function runMmdebstrap(
  layer: string,
  commandOf: typeof baseCommand,
  tree: string,
  { repository, archives, files, requested, debconf, data = '' }: Installation,
  settings: TreeSettings,
  context: StageContext,
): Promise<void> {
  const { sandbox, workDir, signal, output, sourceDateEpoch } = context;
  const lines = (items: readonly string[]) => items.map((item) => `${item}\n`).join('');
  const write = async (name: string, content: string, mode = 0o644) => {
    const path = join(workDir, `${layer}-${name}`);
    await writeFile(path, content, { mode });
    return path;
  };
  const sources = await write('sources.sources', repository.sourceText);
  const answers = await write('debconf', debconf, 0o600);
  const complaints = new DpkgErrors();
  try {
    const command = commandOf({ tree, requested, debconf, ...settings }, sources);
    const pipes = join(workDir, `${layer}-tmpfiles`);
    // In the other modes the scripts have a /proc.
    await sandbox.run(sandbox.mode === 'plain' ? answeringTmpfiles(tree, pipes, command) : command, {
      confined: { writable: [tree], readable: [workDir] },
      env: {
        SOURCE_DATE_EPOCH: String(sourceDateEpoch),
        DEBIAN_FRONTEND: 'noninteractive',
        // Thousands of short programs run, and each would load what C.UTF-8 consists of; noticeable where they are emulated.
        LC_ALL: 'C',
        // The kernel's packages would make the initramfs once for each trigger; it is made once, after osconfig.
        INITRD: 'No',
        // What is not compiled yet would be compiled by whoever imports it, in another way than it is later.
        PYTHONDONTWRITEBYTECODE: '1',
        IMAGE_BUILDER_SETUP: await write('setup.sh', SETUP),
        IMAGE_BUILDER_INSTALL: await write('install.sh', INSTALL),
        IMAGE_BUILDER_DEFERRED: await write('deferred.sh', RUN_DEFERRED),
        IMAGE_BUILDER_LISTS: repository.apt.lists,
        IMAGE_BUILDER_ARCHIVES: archives,
        IMAGE_BUILDER_DATA: data,
        IMAGE_BUILDER_FILES: await write('files', lines(files)),
        IMAGE_BUILDER_REQUESTED: await write('requested', lines(requested)),
        IMAGE_BUILDER_DEBCONF: answers,
        IMAGE_BUILDER_PREFERENCES: await write('preferences', settings.preferences),
        IMAGE_BUILDER_PATHS: await write('dpkg-paths', lines(pathOptions(settings))),
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
    await rm(answers, { force: true });
  }
}

/** What decides a command of mmdebstrap. */
export interface CommandOptions
  extends Pick<Installation, 'requested' | 'debconf'>,
    Pick<TreeSettings, 'codename' | 'architecture' | 'pathExclude' | 'pathInclude'> {
  tree: string;
}

/** The command that installs the packages of the base. Pure. */
export function baseCommand(options: CommandOptions, sourcesFile: string): string[] {
  return [
    ...commonOptions(options),
    '--variant=minbase',
    // The lists and the package files come out of the private apt, by the set-up hook.
    `--skip=${[...SKIPPED, 'download/empty'].join(',')}`,
    `--include=${options.requested.join(',')}`,
    // As early as there is a debconf: all packages but the essential ones find their answers.
    ...(options.debconf === ''
      ? []
      : ['--essential-hook=chroot "$1" debconf-set-selections < "$IMAGE_BUILDER_DEBCONF"']),
    RUN_DEFERRED_HOOK,
    ...target(options, sourcesFile),
  ];
}

/** The command that installs the other packages. Pure. */
export function topCommand(options: CommandOptions, sourcesFile: string): string[] {
  return [
    ...commonOptions(options),
    '--variant=custom',
    `--skip=${[...SKIPPED, 'check/empty'].join(',')}`,
    ...(options.debconf === ''
      ? []
      : ['--customize-hook=chroot "$1" debconf-set-selections < "$IMAGE_BUILDER_DEBCONF"']),
    '--customize-hook=sh "$IMAGE_BUILDER_INSTALL" "$1"',
    RUN_DEFERRED_HOOK,
    ...target(options, sourcesFile),
  ];
}

const RUN_DEFERRED_HOOK = '--customize-hook=chroot "$1" sh < "$IMAGE_BUILDER_DEFERRED"';

/** Lists and caches are removed with the rest of what a tree does not keep. */
const SKIPPED = ['update', 'check/signed-by', 'check/chrootless', 'check/qemu', 'cleanup/apt'];

const commonOptions = ({ architecture, ...paths }: CommandOptions): string[] => [
  'mmdebstrap',
  // dpkg's own lines: for the log, and for the error when a package cannot be installed.
  '--verbose',
  '--mode=root',
  '--format=directory',
  `--architectures=${architecture}`,
  '--aptopt=APT::Sandbox::User "root"',
  '--aptopt=Acquire::Languages "none"',
  '--aptopt=APT::Install-Recommends "false"',
  `--aptopt=DPkg::Path "${PACKAGE_PATH}"`,
  // The tree is thrown away when anything fails: nothing in it has to survive a crash.
  '--dpkgopt=force-unsafe-io',
  // mmdebstrap unpacks the essential packages itself, and leaves out the same.
  ...pathOptions(paths).map((option) => `--dpkgopt=${option}`),
  '--setup-hook=sh "$IMAGE_BUILDER_SETUP" "$1"',
];

const target = ({ codename, tree }: CommandOptions, sourcesFile: string) => [codename, tree, sourcesFile];

/** Of dpkg(1): the last that fits counts. */
const pathOptions = ({ pathExclude, pathInclude }: Pick<TreeSettings, 'pathExclude' | 'pathInclude'>) => [
  ...pathExclude.map((pattern) => `path-exclude=${pattern}`),
  ...pathInclude.map((pattern) => `path-include=${pattern}`),
];

// Runs outside of the tree, before anything is installed. Hard links where the file system allows them.
const SETUP = `
set -eu
tree=$1
${DEFER}${ASK_FOR_TMPFILES}${PLACE_DATA}
archives="$tree/var/cache/apt/archives"
mkdir -p "$tree/var/lib/apt/lists/partial" "$archives/partial" "$tree/etc/apt/preferences.d"
cd "$IMAGE_BUILDER_ARCHIVES"
xargs -r -d '\\n' cp -l -t "$archives" < "$IMAGE_BUILDER_FILES" 2>/dev/null ||
  xargs -r -d '\\n' cp -t "$archives" < "$IMAGE_BUILDER_FILES"
find "$IMAGE_BUILDER_LISTS" -maxdepth 1 -type f ! -name lock -exec cp -t "$tree/var/lib/apt/lists/" {} +
[ ! -s "$IMAGE_BUILDER_PREFERENCES" ] ||
  cp "$IMAGE_BUILDER_PREFERENCES" "$tree/etc/apt/preferences.d/image-builder-unapproved"
[ ! -s "$IMAGE_BUILDER_PATHS" ] ||
  install -D -m 644 "$IMAGE_BUILDER_PATHS" "$tree/etc/dpkg/dpkg.cfg.d/image-builder-paths"
`;

// apt runs outside of the tree, dpkg in it, as mmdebstrap does it. What is in the repository and was not chosen is what an
// alternative was chosen for when there was more to choose from.
const INSTALL = `
set -eu
tree=$1
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" TMPDIR="$tree/tmp"
install() {
  apt-get --yes -o Dir::Bin::dpkg=env -o DPkg::Options::=--unset=TMPDIR -o DPkg::Options::=dpkg \\
    -o DPkg::Chroot-Directory="$tree" install -- "$@"
}
install $(cat "$IMAGE_BUILDER_REQUESTED")
installed=$(dpkg-query --admindir="$tree/var/lib/dpkg" --show --showformat=' \${Package} ')
left=$(sed 's/_.*//' "$IMAGE_BUILDER_FILES" | while read -r name; do
  case "$installed" in *" $name "*) ;; *) echo "$name" ;; esac
done)
[ -z "$left" ] || install $left
`;

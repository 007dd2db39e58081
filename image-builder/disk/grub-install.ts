// Installs GRUB into a root file system tree and prepares what goes on the disk beside it: as grub-install does,
// but without block devices. The image's own GRUB is preferred, so that what boots matches what later updates it.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { StageContext } from '../build/stage.ts';
import { DiskError } from './error.ts';
import { type BootLocation, type GrubMenu, renderGrubConfig, renderLoaderStub } from './grub-config.ts';
import type { Kernel } from './kernels.ts';

/** GRUB's name of the platform and the package that has its modules. */
const PLATFORMS = { 'i386-pc': 'grub-pc-bin', 'x86_64-efi': 'grub-efi-amd64-bin' } as const;
type Platform = keyof typeof PLATFORMS;

/** Modules that reach the menu and start a kernel; the others are loaded from /boot/grub when asked for. */
const COMMON_MODULES = [
  ...['part_gpt', 'ext2', 'xfs', 'fat', 'search', 'search_fs_uuid', 'search_label', 'normal', 'configfile'],
  ...[
    'linux',
    'echo',
    'test',
    'ls',
    'cat',
    'terminal',
    'serial',
    'reboot',
    'halt',
    'boot',
    'minicmd',
    'gzio',
  ],
];
const MODULES: Record<Platform, readonly string[]> = {
  'i386-pc': [...COMMON_MODULES, 'biosdisk'],
  'x86_64-efi': [...COMMON_MODULES, 'all_video', 'efifwsetup', 'chain'],
};

/** What the boot loader needs outside of the tree. */
export interface InstalledGrub {
  /** boot.img of i386-pc. */
  bootImage: Buffer;
  /** core.img of i386-pc. */
  coreImage: Buffer;
  /** Directory whose content belongs on the EFI system partition. */
  espDirectory: string;
  /** Whether UEFI starts through the image's signed shim. */
  signed: boolean;
}

/**
 * Writes /boot/grub into `tree` and a directory for the EFI system partition into the work directory. The path
 * /boot/grub must have been checked for links.
 * @throws DiskError NO_BOOT_LOADER
 */
export async function installGrub(
  tree: string,
  location: BootLocation,
  menu: GrubMenu,
  kernels: readonly Kernel[],
  context: StageContext,
): Promise<InstalledGrub> {
  const { sandbox, signal, workDir } = context;
  const staging = join(workDir, 'grub');
  const espDirectory = join(workDir, 'esp');
  const stub = renderLoaderStub(location, 'core');
  for (const platform of Object.keys(PLATFORMS) as Platform[]) {
    await makeCoreImage(tree, platform, stub, staging, context);
  }
  const release = await readRelease(tree, context);
  await write(
    join(tree, 'boot/grub/grub.cfg'),
    renderGrubConfig(location, menu, kernels, release.name),
    context,
  );

  const loader = await sandbox.run(['sh', '-euc', FILL_ESP, 'sh', tree, espDirectory, release.id], {
    signal,
  });
  await write(
    join(espDirectory, 'EFI', release.id, 'grub.cfg'),
    renderLoaderStub(location, 'configfile'),
    context,
  );
  return {
    bootImage: await readFile(join(staging, 'boot.img')),
    coreImage: await readFile(join(staging, 'core.img')),
    espDirectory,
    signed: loader.trim() === 'signed',
  };
}

async function makeCoreImage(
  tree: string,
  platform: Platform,
  stub: string,
  staging: string,
  context: StageContext,
): Promise<void> {
  const { sandbox, signal } = context;
  await sandbox
    .run(['sh', '-euc', COPY_MODULES, 'sh', tree, platform, staging], { signal })
    .catch((error) => {
      if (signal.aborted) throw error;
      throw new DiskError(
        'NO_BOOT_LOADER',
        `GRUB for ${platform} is neither in the image nor on this machine`,
        {
          cause: error,
          hint: `Put ${PLATFORMS[platform]} into the packages of the image, or install it here.`,
        },
      );
    });
  await write(join(tree, 'boot/grub', platform, 'load.cfg'), stub, context);
  await sandbox.run(
    [
      'sh',
      '-euc',
      MAKE_IMAGE,
      'sh',
      tree,
      platform,
      platform === 'i386-pc' ? 'core.img' : 'core.efi',
      staging,
    ].concat(MODULES[platform]),
    { signal },
  );
}

/** ID and PRETTY_NAME of os-release(5); GRUB builds of distributions look into the directory EFI/<ID>. */
async function readRelease(tree: string, { sandbox, signal }: StageContext) {
  const text = await sandbox
    .run(['chroot', tree, 'cat', '/etc/os-release'], { signal })
    .catch((error: unknown) => {
      if (signal.aborted) throw error;
      return '';
    });
  const value = (key: string) => new RegExp(`^${key}=["']?([A-Za-z0-9 ./()_-]+)`, 'm').exec(text)?.[1];
  return { id: value('ID') ?? 'linux', name: value('PRETTY_NAME') ?? 'Linux' };
}

async function write(file: string, text: string, { sandbox, signal }: StageContext): Promise<void> {
  await sandbox.run(['sh', '-euc', 'mkdir -p "$(dirname "$1")"; rm -f "$1"; cat > "$1"', 'sh', file], {
    signal,
    input: text,
  });
}

// As grub-install leaves it: all modules and lists, so that a grub.cfg may load any of them.
const COPY_MODULES = `
from=/usr/lib/grub/$2
if [ -e "$1/usr/bin/grub-mkimage" ] && [ -e "$1$from/kernel.img" ]; then from=$1$from; fi
to=$1/boot/grub/$2
test -e "$from/kernel.img"
mkdir -p "$to" "$3"
cp --no-preserve=all "$from"/*.mod "$from"/*.lst "$to"
if [ -e "$from/boot.img" ]; then cp --no-preserve=all "$from/boot.img" "$to"; cp "$to/boot.img" "$3"; fi`;

const MAKE_IMAGE = `
tree=$1; platform=$2; image=$3; staging=$4; shift 4
directory=/boot/grub/$platform
if [ -e "$tree/usr/bin/grub-mkimage" ] && [ -e "$tree/usr/lib/grub/$platform/kernel.img" ]; then
  chroot "$tree" grub-mkimage --directory="/usr/lib/grub/$platform" --format="$platform" --prefix=/boot/grub \
    --config="$directory/load.cfg" --output="$directory/$image" "$@"
else
  grub-mkimage --directory="/usr/lib/grub/$platform" --format="$platform" --prefix=/boot/grub \
    --config="$tree$directory/load.cfg" --output="$tree$directory/$image" "$@"
fi
cp --no-preserve=all "$tree$directory/$image" "$staging"`;

// EFI/BOOT/BOOTX64.EFI is what firmware starts without boot entries of its own. The signed files may be absolute
// links (alternatives), hence chroot. Prints which loader it took.
const FILL_ESP = `
tree=$1; boot=$2/EFI/BOOT; id=$3
mkdir -p "$boot" "$2/EFI/$id"
shim=/usr/lib/shim/shimx64.efi.signed
grub=/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed
manager=/usr/lib/shim/mmx64.efi.signed
if [ -e "$tree$grub" ] && { [ -e "$tree$shim" ] || [ -L "$tree$shim" ]; }; then
  chroot "$tree" cat "$shim" > "$boot/BOOTX64.EFI"
  chroot "$tree" cat "$grub" > "$boot/grubx64.efi"
  if [ -e "$tree$manager" ]; then chroot "$tree" cat "$manager" > "$boot/mmx64.efi"; fi
  echo signed
else
  cp "$tree/boot/grub/x86_64-efi/core.efi" "$boot/BOOTX64.EFI"
  echo own
fi`;

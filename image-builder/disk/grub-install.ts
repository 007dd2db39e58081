// Installs GRUB into a root file system tree and prepares what goes on the disk beside it: as grub-install does,
// but without block devices.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { StageContext } from '../sandbox/stage-context.ts';
import type { BootPlatform } from './boot-platforms.ts';
import { fillEsp } from './esp.ts';
import { type BootLocation, type GrubMenu, renderGrubConfig, renderLoaderStub } from './grub-config.ts';
import { copyGrubFiles, type GrubPlatform, makeGrubImage } from './grub-image.ts';
import type { Kernel } from './kernels.ts';
import { readRelease } from './os-release.ts';

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
const MODULES: Record<GrubPlatform, readonly string[]> = {
  'i386-pc': [...COMMON_MODULES, 'biosdisk'],
  'x86_64-efi': [...COMMON_MODULES, 'all_video', 'efifwsetup', 'chain'],
  'arm64-efi': [...COMMON_MODULES, 'all_video', 'efifwsetup', 'chain', 'fdt'],
};

/** As grub-install calls them. */
const CORE_FILES: Record<GrubPlatform, string> = {
  'i386-pc': 'core.img',
  'x86_64-efi': 'core.efi',
  'arm64-efi': 'core.efi',
};

/** What the boot loader needs outside of the tree. */
export interface InstalledGrub {
  /** boot.img and core.img of i386-pc, where machines have BIOS. */
  bios?: { bootImage: Buffer; coreImage: Buffer };
  /** Directory whose content belongs on the EFI system partition. */
  espDirectory: string;
  /** Whether UEFI starts through the image's signed shim. */
  signed: boolean;
}

/**
 * Writes /boot/grub into `tree`, and a directory for the EFI system partition into the work directory. The paths
 * /boot/grub and /tmp must have been checked for links.
 * @throws DiskError NO_BOOT_LOADER
 */
export async function installGrub(
  tree: string,
  platform: BootPlatform,
  location: BootLocation,
  menu: GrubMenu,
  kernels: readonly Kernel[],
  context: StageContext,
): Promise<InstalledGrub> {
  const { sandbox, signal, workDir } = context;
  const staging = join(workDir, 'grub');
  const espDirectory = join(workDir, 'esp');
  const config = renderLoaderStub(location, 'core');
  for (const grub of [platform.uefi, ...(platform.bios ? [platform.bios] : [])]) {
    // All modules and lists, as grub-install leaves them, so that a later grub.cfg may load any.
    const directory = join(tree, 'boot/grub', grub);
    await copyGrubFiles(tree, grub, ['*.mod', '*.lst'], directory, context);
    const output = join(staging, CORE_FILES[grub]);
    await makeGrubImage({ tree, platform: grub, modules: MODULES[grub], config, output }, context);
  }
  if (platform.bios) await copyGrubFiles(tree, platform.bios, ['boot.img'], staging, context);

  const release = await readRelease(tree, context);
  await sandbox.run(['sh', '-euc', 'rm -f "$1"; cat > "$1"', 'sh', join(tree, 'boot/grub/grub.cfg')], {
    signal,
    input: renderGrubConfig(location, menu, kernels, release.name),
  });
  const ownLoader = join(staging, CORE_FILES[platform.uefi]);
  const stub = renderLoaderStub(location, 'configfile');
  const esp = { tree, platform, release, ownLoader, stub, directory: espDirectory };
  const { signed } = await fillEsp(esp, context);
  const read = (file: string) => readFile(join(staging, file));
  return {
    ...(platform.bios && {
      bios: { bootImage: await read('boot.img'), coreImage: await read(CORE_FILES[platform.bios]) },
    }),
    espDirectory,
    signed,
  };
}

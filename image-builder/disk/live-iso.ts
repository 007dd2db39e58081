// From a root file system tree to a live ISO that boots four ways: BIOS and UEFI, as a CD and as a disk.
import { chmod, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeBeside } from '../base/files/replace.ts';
import type { StageContext } from '../sandbox/stage-context.ts';
import { BOOT_PLATFORMS } from './boot-platforms.ts';
import { DiskError } from './disk-error.ts';
import { fillEsp } from './esp.ts';
import { copyGrubFiles, makeGrubImage } from './grub-image.ts';
import { deriveUuid, deriveVolumeId } from './identifiers.ts';
import { MARKER_FILE, renderIsoGrubConfig, renderIsoStub } from './iso-config.ts';
import { findKernels } from './kernels.ts';
import { readRelease } from './os-release.ts';
import { MIB } from './size.ts';
import { makeSquashfs, type SquashfsOptions } from './squashfs.ts';
import { requirePlainPaths } from './tree.ts';
import { makeFat } from './vfat.ts';

/** The label by which cloud-init finds a config drive. */
const VOLUME_ID = 'config-2';
/** Room for a signed shim, its key manager and GRUB. */
const EFI_IMAGE_BYTES = 8 * MIB;

const COMMON_MODULES = [
  ...[
    'iso9660',
    'part_gpt',
    'part_msdos',
    'fat',
    'search',
    'search_fs_file',
    'normal',
    'configfile',
    'linux',
  ],
  ...['echo', 'test', 'ls', 'cat', 'terminal', 'serial', 'reboot', 'halt', 'boot', 'minicmd'],
];

/** What an ISO is made from. */
export interface AssembleIsoRequest {
  /** The unpacked root file system, with live-boot in its initramfs. It is not changed. */
  tree: string;
  livecdcontent: {
    mksquashfs_compression: SquashfsOptions['compression'];
    mksquashfs_threads: number;
    /** Seconds. */
    squashfs_timeout: number;
    /** Seconds. */
    grub_menu_timeout: number;
    livecd_cmdline: string;
  };
  /** Texts of the config drive, written byte for byte. */
  cloudInit: { userData: string; networkData: string; metaData: string };
  /** All identifiers are derived from it. */
  identifierSeed: string;
  /** The ISO; it appears by rename. */
  output: string;
}

/** The ISO that was made. */
export interface AssembledIso {
  /** Whether UEFI Secure Boot works. */
  secureBoot: boolean;
}

/**
 * Makes the live ISO of a root file system tree.
 * @throws DiskError, ToolError
 */
export async function assembleIso(request: AssembleIsoRequest, context: StageContext): Promise<AssembledIso> {
  const { tree, output, identifierSeed } = request;
  const { workDir, step } = context;
  const content = join(workDir, 'iso');
  const boot = join(workDir, 'iso-boot');
  let secureBoot: boolean;
  try {
    step('collect the boot files');
    await requirePlainPaths(tree, ['/boot', '/tmp'], context);
    await collectContent(request, content, context);
    secureBoot = (await makeBootImages(tree, content, boot, identifierSeed, context)).signed;

    const { livecdcontent } = request;
    step(`pack the live system (${livecdcontent.mksquashfs_compression})`);
    const squashfs: SquashfsOptions = {
      compression: livecdcontent.mksquashfs_compression,
      threads: livecdcontent.mksquashfs_threads,
      timeoutSeconds: livecdcontent.squashfs_timeout,
    };
    await makeSquashfs(tree, join(content, 'live/filesystem.squashfs'), squashfs, context);

    step('write the ISO');
    await makeBeside(output, async (partial) => {
      await writeIso(content, boot, partial, identifierSeed, context);
      // Web servers serve it.
      await chmod(partial, 0o644);
    });
  } finally {
    for (const scratch of [content, boot]) await rm(scratch, { recursive: true, force: true });
  }
  return { secureBoot };
}

/** Everything on the ISO but the live system and GRUB's images. */
async function collectContent(
  { tree, livecdcontent, cloudInit }: AssembleIsoRequest,
  content: string,
  context: StageContext,
): Promise<void> {
  const { sandbox, signal } = context;
  const [kernel] = await findKernels(tree, context);
  if (!kernel?.initramfs)
    throw new DiskError('TREE_UNUSABLE', `/boot has no initramfs for the kernel ${kernel?.version}`, {
      hint: 'Add initramfs-tools to the packages of the root file system.',
    });
  await sandbox
    .run(['sh', '-euc', COLLECT, 'sh', tree, content, kernel.file, kernel.initramfs], { signal })
    .catch((error: unknown) => {
      if (signal.aborted || (error as { exitCode?: number }).exitCode !== NO_LIVE_BOOT) throw error;
      throw new DiskError('TREE_UNUSABLE', 'the root file system cannot boot from an ISO without live-boot', {
        hint: 'Add live-boot to the packages of the root file system.',
      });
    });
  const release = await readRelease(tree, context);
  const files: Record<string, string> = {
    [MARKER_FILE]: '',
    'boot/grub/grub.cfg': renderIsoGrubConfig({
      title: release.name,
      timeoutSeconds: livecdcontent.grub_menu_timeout,
      kernelCommandLine: livecdcontent.livecd_cmdline,
    }),
    'openstack/latest/user_data': cloudInit.userData,
    'openstack/latest/network_data.json': cloudInit.networkData,
    'openstack/latest/meta_data.json': cloudInit.metaData,
  };
  for (const [file, text] of Object.entries(files)) await writeFile(join(content, file), text);
}

const NO_LIVE_BOOT = 66;
const COLLECT = `
[ -e "$1/usr/share/initramfs-tools/hooks/live" ] || exit ${NO_LIVE_BOOT}
mkdir -p "$2/live" "$2/boot/grub/i386-pc" "$2/openstack/latest"
cp --no-preserve=all "$1/boot/$3" "$2/live/vmlinuz"
cp --no-preserve=all "$1/boot/$4" "$2/live/initrd.img"`;

/** GRUB for El Torito into the ISO's content; the EFI partition and the boot sector for disks beside it. */
async function makeBootImages(
  tree: string,
  content: string,
  boot: string,
  identifierSeed: string,
  context: StageContext,
): Promise<{ signed: boolean }> {
  const config = renderIsoStub('core');
  const elTorito = join(content, 'boot/grub/i386-pc/eltorito.img');
  await makeGrubImage(
    {
      ...{ tree, config, output: elTorito, platform: 'i386-pc', format: 'i386-pc-eltorito' },
      modules: [...COMMON_MODULES, 'biosdisk'],
    },
    context,
  );
  await copyGrubFiles(tree, 'i386-pc', ['boot_hybrid.img'], boot, context);
  const ownLoader = join(boot, 'grubx64.efi');
  const modules = [...COMMON_MODULES, 'all_video', 'efifwsetup', 'chain'];
  await makeGrubImage({ tree, config, output: ownLoader, platform: 'x86_64-efi', modules }, context);

  const directory = join(boot, 'esp');
  const release = await readRelease(tree, context);
  const stub = renderIsoStub('configfile');
  const { signed } = await fillEsp(
    { tree, platform: BOOT_PLATFORMS.amd64, release, ownLoader, stub, directory },
    context,
  );
  const file = join(boot, 'efi.img');
  await writeFile(file, '');
  await truncate(file, EFI_IMAGE_BYTES);
  const volumeId = deriveVolumeId(identifierSeed, 'efi');
  await makeFat({ file, offsetBytes: 0, sizeBytes: EFI_IMAGE_BYTES, volumeId }, directory, context);
  return { signed };
}

/** ISO 9660 with Rock Ridge, El Torito for both firmwares, and a partition table for the case that it is a disk. */
async function writeIso(
  content: string,
  boot: string,
  output: string,
  identifierSeed: string,
  { sandbox, signal, sourceDateEpoch }: StageContext,
): Promise<void> {
  const date = isoDate(sourceDateEpoch);
  await sandbox.run(
    [
      ...['xorriso', '-no_rc', '-report_about', 'WARNING', '-as', 'mkisofs', '-quiet'],
      ...['-o', output, '-V', VOLUME_ID, '-iso-level', '3', '-r', '-J', '-joliet-long'],
      ...[`--modification-date=${date}`, '--set_all_file_dates', date],
      ...['--gpt_disk_guid', deriveUuid(identifierSeed, 'iso')],
      // The first partition of the disk is the ISO's file system too, not only the whole disk: blkid, and so cloud-init,
      // does not look at whole disks that have partitions.
      ...['-partition_offset', '16'],
      ...['--grub2-mbr', join(boot, 'boot_hybrid.img')],
      ...['-b', 'boot/grub/i386-pc/eltorito.img', '-no-emul-boot', '-boot-load-size', '4'],
      ...['-boot-info-table', '--grub2-boot-info', '-c', 'boot/boot.cat'],
      ...['-append_partition', '2', '0xef', join(boot, 'efi.img'), '-appended_part_as_gpt'],
      ...['-eltorito-alt-boot', '-e', '--interval:appended_partition_2:all::', '-no-emul-boot'],
      content,
    ],
    { signal, env: { SOURCE_DATE_EPOCH: `${sourceDateEpoch}`, TZ: 'UTC' } },
  );
}

/** `YYYYMMDDhhmmsscc` in UTC. */
function isoDate(epochSeconds: number): string {
  return `${new Date(epochSeconds * 1000).toISOString().slice(0, 19).replace(/\D/g, '')}00`;
}

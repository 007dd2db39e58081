// From a root file system tree to a bootable qcow2 image, without privileges: no loop device, no nbd, no mount.
import { open, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Architecture } from '../base/architecture.ts';
import { writeIndex } from '../qcow2/write-index.ts';
import { roomFor, type StageContext } from '../sandbox/stage-context.ts';
import { BOOT_PLATFORMS } from './boot-platforms.ts';
import type { ClusterCachePlace } from './cluster-cache.ts';
import { DiskError } from './disk-error.ts';
import type { DiskPlan, DiskVariables, PlannedPartition } from './disk-plan.ts';
import { makeExt4 } from './ext4.ts';
import { explainMissingSpace } from './fitting.ts';
import { bootSector, embeddedCoreImage } from './grub-bios.ts';
import type { BootLocation, GrubMenu } from './grub-config.ts';
import { type InstalledGrub, installGrub } from './grub-install.ts';
import { findKernels } from './kernels.ts';
import { planPartitions } from './partition-table.ts';
import { convertToQcow2 } from './qcow2.ts';
import { renderSfdiskScript } from './sfdisk.ts';
import { MIB, SECTOR_BYTES } from './size.ts';
import { swapHeader } from './swap.ts';
import { type FileSystemSource, requirePlainPaths, withSeparateSources } from './tree.ts';
import { fatVolume, makeFat } from './vfat.ts';
import { makeXfs } from './xfs.ts';

/** What a disk is made from. */
export interface AssembleDiskRequest {
  /** The unpacked root file system; /etc/fstab and /boot/grub are written into it. */
  tree: string;
  architecture: Architecture;
  qcow: DiskVariables & { qcow_compress: boolean; qcow_compression_type: 'zstd' | 'zlib' };
  menu: GrubMenu;
  /** All identifiers on the disk are derived from it: the same seed and tree give the same bytes. */
  identifierSeed: string;
  /** The qcow2 file; it appears by rename. */
  output: string;
  /** Where the index of its blocks goes (qcow2/block-index.ts), if there is to be one; only zstd has one. */
  index?: string;
  /** Where compressed clusters of earlier disks are kept; default: all are compressed. */
  clusters?: ClusterCachePlace;
}

/** The disk that was made. */
export interface AssembledDisk {
  /** Size of the disk that the guest sees, in bytes. */
  virtualSize: number;
  partitions: PlannedPartition[];
  /** The file with the index; absent when there is none. */
  index?: string;
  /** Whether UEFI Secure Boot works: the image has signed boot loaders. */
  secureBoot: boolean;
}

/**
 * Partitions, fills, and makes bootable a disk, and compresses it.
 * @throws InvalidInputError with paths relative to the qcow variables, DiskError, ToolError
 */
export async function assembleDisk(
  request: AssembleDiskRequest,
  context: StageContext,
): Promise<AssembledDisk> {
  const { qcow, output } = request;
  const { workDir } = context;
  const plan = planPartitions(qcow, request.identifierSeed, request.architecture);
  const disk = join(await roomFor(2 * (await usedBytes(request.tree, context)), context), 'disk.raw');
  let index: string | undefined;
  let secureBoot: boolean;
  try {
    const grub = await prepareTree(request, plan, context);
    secureBoot = grub.signed;
    await writeDisk(disk, request.tree, plan, grub, context);
    context.step('compress the disk');
    const compression = { compress: qcow.qcow_compress, compressionType: qcow.qcow_compression_type };
    const image = await convertToQcow2(disk, output, compression, context, request.clusters);
    if (image) index = request.index;
    if (image && index !== undefined) await writeIndex(image, index, context.signal);
  } finally {
    for (const scratch of [context.sandbox.hostPath(disk), join(workDir, 'grub'), join(workDir, 'esp')])
      await rm(scratch, { recursive: true, force: true });
  }
  return {
    virtualSize: plan.capacityBytes,
    partitions: plan.partitions,
    ...(index !== undefined && { index }),
    secureBoot,
  };
}

/** About what the file systems of a tree take: the tree, boot loaders, journals and tables. */
async function usedBytes(tree: string, { sandbox, signal }: StageContext): Promise<number> {
  const usage = await sandbox.run(['du', '--summarize', '--block-size=1', tree], { signal });
  return Number.parseInt(usage, 10) * 1.1 + OVERHEAD_BYTES;
}

const OVERHEAD_BYTES = 128 * MIB;

/** Writes fstab and GRUB into the tree. */
async function prepareTree(
  { tree, architecture, menu }: AssembleDiskRequest,
  plan: DiskPlan,
  context: StageContext,
): Promise<InstalledGrub> {
  context.step('install the boot loader');
  const mounts = plan.partitions.flatMap(({ mount }) => mount ?? []);
  await requirePlainPaths(tree, ['/etc', '/tmp', '/boot/grub', ...mounts], context);
  const kernels = await findKernels(tree, context);
  await context.sandbox.run(['sh', '-euc', 'rm -f "$1"; cat > "$1"', 'sh', join(tree, 'etc/fstab')], {
    signal: context.signal,
    input: plan.fstab,
  });
  const location: BootLocation = {
    bootUuid: plan.boot.fileSystem?.uuid ?? '',
    bootPath: plan.boot === plan.root ? '/boot' : '',
    rootUuid: plan.root.fileSystem?.uuid ?? '',
    rootPartUuid: plan.root.guid,
  };
  return installGrub(tree, BOOT_PLATFORMS[architecture], location, menu, kernels, context);
}

/** Writes the raw disk: a sparse file that only takes what is in its file systems. */
async function writeDisk(
  disk: string,
  tree: string,
  plan: DiskPlan,
  grub: InstalledGrub,
  context: StageContext,
): Promise<void> {
  context.step('partition the disk');
  await writeFile(context.sandbox.hostPath(disk), '');
  await truncate(context.sandbox.hostPath(disk), plan.capacityBytes);
  await context.sandbox.run(['sfdisk', '--quiet', '--no-reread', '--no-tell-kernel', disk], {
    signal: context.signal,
    input: renderSfdiskScript(plan),
  });
  await writeBiosLoader(context.sandbox.hostPath(disk), plan, grub);

  const mounts = plan.partitions.flatMap(({ mount }) => mount ?? []);
  await withSeparateSources(tree, mounts, context, async (sources) => {
    for (const partition of plan.partitions) {
      if (!partition.fileSystem) continue;
      const { number, mount, role, fileSystem } = partition;
      context.step(`make file system ${number}: ${fileSystem.type} ${mount ?? role}`);
      const source = mount === undefined ? undefined : sources.get(mount);
      const content = role === 'esp' ? await fillEspDirectory(source, grub, context) : source;
      await makeFileSystem(disk, partition, content, context).catch((error) =>
        explainMissingSpace(error, partition, source, context),
      );
    }
  });
}

/** Lays what the tree has below the mount point of the EFI system partition under the boot loaders. */
async function fillEspDirectory(
  source: FileSystemSource | undefined,
  { espDirectory }: InstalledGrub,
  { sandbox, signal }: StageContext,
): Promise<FileSystemSource> {
  if (source)
    await sandbox.run(
      ['cp', '--recursive', '--preserve=timestamps', '--no-clobber', `${source.directory}/.`, espDirectory],
      { signal },
    );
  return { mode: '755', uid: 0, gid: 0, ...source, directory: espDirectory };
}

async function writeBiosLoader(disk: string, plan: DiskPlan, { bios }: InstalledGrub): Promise<void> {
  if (!bios || !plan.biosGrub) return;
  const { startBytes, sizeBytes } = plan.biosGrub;
  const coreSector = startBytes / SECTOR_BYTES;
  const core = embeddedCoreImage(bios.coreImage, coreSector);
  if (core.length > sizeBytes)
    throw new DiskError('DOES_NOT_FIT', `GRUB's core image does not fit into the bios_grub partition`);
  const file = await open(disk, 'r+');
  try {
    const boot = bootSector(bios.bootImage, coreSector);
    await file.write(boot, 0, boot.length, 0);
    await file.write(core, 0, core.length, startBytes);
  } finally {
    await file.close();
  }
}

async function makeFileSystem(
  disk: string,
  partition: PlannedPartition,
  source: FileSystemSource | undefined,
  context: StageContext,
): Promise<void> {
  switch (partition.fileSystem?.type) {
    case 'ext4':
      return makeExt4(disk, partition, source, context);
    case 'vfat':
      return makeFat(fatVolume(disk, partition), source?.directory, context);
    case 'xfs':
      return makeXfs(disk, partition, source, context);
    case 'swap':
      return writeSwap(context.sandbox.hostPath(disk), partition);
  }
}

async function writeSwap(disk: string, { startBytes, sizeBytes, fileSystem }: PlannedPartition) {
  const file = await open(disk, 'r+');
  try {
    const header = swapHeader(sizeBytes, fileSystem?.uuid ?? '');
    await file.write(header, 0, header.length, startBytes);
  } finally {
    await file.close();
  }
}

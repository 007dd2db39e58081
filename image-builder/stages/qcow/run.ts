// The stage `qcow/<name>`: configures the common root file system for one image, makes a disk of it, and the layer
// that every bundle with this image has.
import { join } from 'node:path';
import type { QcowArtifact } from '../../bundle/model.ts';
import { type QcowLayer, writeQcowLayer } from '../../bundle/write/assemble.ts';
import type { Descriptor } from '../../bundle/write/manifest.ts';
import { assembleDisk } from '../../disk/assemble.ts';
import type { PlannedPartition } from '../../disk/disk-plan.ts';
import type { GrubMenu } from '../../disk/grub-config.ts';
import type { StageImplementation } from '../../pipeline/stage-runner.ts';
import { kernelArgument } from '../../spec/api/kernel-arguments.ts';
import type { ResolvedBuild, ResolvedOsconfig } from '../../spec/variables/resolved.ts';
import type { Entry } from '../../store/entry.ts';
import { packagesOf, rootfsFileOf } from '../common.ts';
import { configureQcowTree, unpackRootfs } from '../osconfig/configure.ts';
import type { InstalledPackages } from '../rootfs/build-rootfs.ts';

const LAYER_FILE = 'layer.tar';

/** Facts of a QCOW's entry. */
interface QcowFacts {
  artifact: QcowArtifact;
  layer: Descriptor;
}

/** Implements the stage. */
export function qcowStage(resolved: ResolvedBuild, options: { cacheDir: string }): StageImplementation {
  return async ({ stage, parents, tree, context }) => {
    const name = stage.name.slice('qcow/'.length);
    const image = resolved.qcows[name];
    if (!image) throw new TypeError(`no QCOW ${name}`);
    const root = tree ?? (await unpackRootfs(rootfsFileOf(parents.osconfig), context));
    await configureQcowTree(
      {
        tree: root,
        osconfig: image.osconfig,
        common: resolved.rootfs.osconfig,
        scripts: image.scripts,
        runtimeScripts: image.qcow.qcow_container_runtime_scripts,
        ...options,
      },
      context,
    );
    const fileName = `${image.qcow.img_name}.qcow2`;
    const output = join(context.outputDir, fileName);
    const disk = await assembleDisk(
      {
        tree: root,
        architecture: resolved.rootfs.multistrap.rootfs_arch,
        qcow: image.qcow,
        menu: menuOf(image.osconfig, packagesOf(parents.osconfig)),
        identifierSeed: stage.recipe,
        output,
      },
      context,
    );
    context.report({ type: 'step', stage: context.stage, message: 'compute checksums and pack the layer' });
    const rootFSUUID = disk.partitions.find(({ mount }) => mount === '/')?.fileSystem?.uuid;
    const { layer, artifact } = await writeQcowLayer(
      {
        path: output,
        fileName,
        partitions: disk.partitions.map(describePartition),
        ...(rootFSUUID && { rootFSUUID }),
      },
      join(context.outputDir, LAYER_FILE),
      {
        mtime: context.sourceDateEpoch,
        signal: context.signal,
        onBytes: (done) => context.report({ type: 'bytes', stage: context.stage, done }),
      },
    );
    const facts: QcowFacts = { artifact, layer: layer.descriptor };
    return {
      facts: { ...facts, partitions: disk.partitions, secureBoot: disk.secureBoot },
      digests: { [fileName]: artifact.sha256, [LAYER_FILE]: layer.descriptor.digest.slice('sha256:'.length) },
    };
  };
}

function describePartition({ number, startBytes, sizeBytes, fileSystem, mount }: PlannedPartition) {
  return {
    number,
    start: startBytes,
    size: sizeBytes,
    ...(fileSystem && { filesystem: fileSystem.type }),
    ...(mount !== undefined && { mount }),
  };
}

/** The boot menu; the crash kernel's memory is set aside only where there is one to use it. */
export function menuOf({ grub, kdump_tools }: ResolvedOsconfig, packages: InstalledPackages): GrubMenu {
  const { crashkernel } = kdump_tools;
  return {
    timeoutSeconds: grub.GRUB_TIMEOUT,
    serialCommand: grub.GRUB_SERIAL_COMMAND,
    kernelArguments: [
      ...grub.GRUB_CMDLINE_LINUX_DEFAULT.map(({ name, value }) => kernelArgument(name, value)),
      ...(crashkernel && packages['kdump-tools'] ? [kernelArgument('crashkernel', crashkernel)] : []),
    ],
  };
}

/** The QCOW2 file of an entry. */
export function qcowFileOf(entry: Entry): string {
  return join(entry.directory, factsOf(entry).artifact.file);
}

/** The bundle layer of an entry. */
export function qcowLayerOf(entry: Entry | undefined): QcowLayer {
  if (!entry) throw new TypeError('the bundle has lost one of its QCOWs');
  const { artifact, layer } = factsOf(entry);
  return { artifact, layer: { descriptor: layer, file: join(entry.directory, LAYER_FILE) } };
}

function factsOf(entry: Entry): QcowFacts {
  return entry.facts as unknown as QcowFacts;
}

// Unpacks the tar argv[2], makes an ISO and a disk of it in the directory argv[3], and prints checksums and the sandbox's mode:
// a program of its own, so that another user can run it.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { silentReporter } from '../../../image-builder/base/diagnostics/progress.ts';
import { checksumFile } from '../../../image-builder/bundle/checksums.ts';
import { assembleDisk } from '../../../image-builder/disk/assemble.ts';
import { type AssembleIsoRequest, assembleIso } from '../../../image-builder/disk/live-iso.ts';
import { createLocalSandbox } from '../../../image-builder/sandbox/local-sandbox.ts';
import { progressOf } from '../../../image-builder/sandbox/stage-context.ts';
import type { Partition } from '../../../image-builder/spec/api/types.ts';
import { unpackTree } from '../../../image-builder/stages/rootfs/archive.ts';
import { BIOS_GRUB, BOOT, ESP, MENU, qcowOf, ROOT } from '../support/partitions.ts';

const LIVE: AssembleIsoRequest['livecdcontent'] = {
  mksquashfs_compression: 'zstd',
  mksquashfs_threads: 0,
  squashfs_timeout: 600,
  grub_menu_timeout: 0,
  livecd_cmdline: 'boot=live',
};
const DATA: Partition = {
  mount: '/srv',
  part_start: '1800MiB',
  part_end: '2200MiB',
  filesystem: { type: 'xfs' },
};

async function main(archive: string, directory: string): Promise<void> {
  const sandbox = await createLocalSandbox();
  const workDir = join(directory, 'work');
  mkdirSync(workDir);
  const context = {
    ...progressOf('program', silentReporter),
    workDir,
    outputDir: directory,
    sandbox,
    signal: new AbortController().signal,
    sourceDateEpoch: 1_700_000_000,
  };
  const tree = join(directory, 'tree');
  await unpackTree(archive, tree, context);
  try {
    const output = join(directory, 'node.qcow2');
    const iso = join(directory, 'live.iso');
    await assembleIso(
      {
        tree,
        livecdcontent: LIVE,
        cloudInit: { userData: '#cloud-config\n', networkData: '{}\n', metaData: '{}\n' },
        identifierSeed: 'user',
        output: iso,
      },
      context,
    );
    await sandbox.run(['sh', '-euc', 'mkdir -p "$1"; echo data > "$1/file"', 'sh', join(tree, 'srv/data')]);
    const qcow = qcowOf([ROOT, BIOS_GRUB, ESP, BOOT, DATA]);
    await assembleDisk(
      { tree, architecture: 'amd64', qcow, menu: MENU, identifierSeed: 'user', output },
      context,
    );
    const [disk, live] = await Promise.all([output, iso].map((file) => checksumFile(file)));
    process.stdout.write(JSON.stringify({ disk: disk?.sha256, iso: live?.sha256, mode: sandbox.mode }));
  } finally {
    // Its files belong to subordinate ids, which only the sandbox may remove.
    await sandbox.run(['rm', '-rf', tree]);
  }
}

void main(process.argv[2] ?? '', process.argv[3] ?? '');

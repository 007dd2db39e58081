// Unpacks the tar argv[2], makes a disk of it in the directory argv[3] and prints its checksum and the sandbox's mode:
// a program of its own, so that another user can run it.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { assembleDisk } from '../../../image-builder/disk/assemble.ts';
import { createLocalSandbox } from '../../../image-builder/executors/local-sandbox.ts';
import { unpackTree } from '../../../image-builder/rootfs/archive.ts';
import { BIOS_GRUB, BOOT, ESP, MENU, qcowOf, ROOT } from '../support/partitions.ts';

async function main(archive: string, directory: string): Promise<void> {
  const sandbox = await createLocalSandbox();
  const workDir = join(directory, 'work');
  mkdirSync(workDir);
  const context = {
    stage: 'program',
    workDir,
    outputDir: directory,
    sandbox,
    report: () => {},
    signal: new AbortController().signal,
    sourceDateEpoch: 1_700_000_000,
  };
  const tree = join(directory, 'tree');
  await unpackTree(archive, tree, context);
  try {
    const output = join(directory, 'node.qcow2');
    const qcow = qcowOf([ROOT, BIOS_GRUB, ESP, BOOT]);
    const { sha256 } = await assembleDisk(
      { tree, qcow, menu: MENU, identifierSeed: 'user', output },
      context,
    );
    process.stdout.write(JSON.stringify({ sha256, mode: sandbox.mode }));
  } finally {
    // Its files belong to subordinate ids, which only the sandbox may remove.
    await sandbox.run(['rm', '-rf', tree]);
  }
}

void main(process.argv[2] ?? '', process.argv[3] ?? '');

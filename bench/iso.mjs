// Times how long a live ISO takes from a packed root file system, unpacking included. For bench/compare.mjs.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { loadEngine } from './engine.mjs';

/** @returns the seconds of each run */
export async function timeIso(archive, directory, runs) {
  mkdirSync(directory, { recursive: true });
  const { assembleIso, createLocalSandbox, progressOf, unpackRootfs, openMemory, spareMemory } =
    await loadEngine(directory, {
      assembleIso: 'disk/live-iso.ts',
      createLocalSandbox: 'sandbox/local-sandbox.ts',
      progressOf: 'sandbox/stage-context.ts',
      unpackRootfs: 'stages/osconfig/configure.ts',
      openMemory: 'sandbox/tmpfs.ts',
      spareMemory: 'sandbox/tmpfs.ts',
    });
  const sandbox = await createLocalSandbox();
  const times = [];
  for (let run = 0; run < runs; run++) {
    const began = performance.now();
    const workDir = join(directory, `${run}`);
    mkdirSync(workDir);
    const memory = await openMemory(sandbox, join(workDir, 'memory'), await spareMemory());
    const context = {
      ...progressOf('iso', () => {}),
      ...{ workDir, outputDir: workDir, sandbox: memory?.sandbox ?? sandbox },
      ...{ signal: new AbortController().signal, sourceDateEpoch: 1_700_000_000, ...(memory && { memory }) },
    };
    const tree = await unpackRootfs(archive, context);
    await assembleIso(
      {
        tree,
        architecture: 'amd64',
        output: join(workDir, 'live.iso'),
        identifierSeed: 'bench',
        cloudInit: { userData: '#cloud-config\n', networkData: '{}', metaData: '{}' },
        livecdcontent: {
          ...{ mksquashfs_compression: 'zstd', mksquashfs_threads: 0, squashfs_timeout: 1200 },
          ...{ grub_menu_timeout: 0, livecd_cmdline: 'boot=live' },
        },
      },
      context,
    );
    await memory?.close();
    times.push((performance.now() - began) / 1000);
  }
  return times;
}

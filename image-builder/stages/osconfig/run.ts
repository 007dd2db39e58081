// Runs the stage `osconfig`.
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ARCHIVES_FILE, readRootfsEntry } from '../rootfs/rootfs-entry.ts';
import type { StageWork } from '../stage.ts';
import { configureRootfs } from './configure.ts';
import type { OsconfigFacts } from './osconfig-entry.ts';
import type { OsconfigInputs } from './osconfig-inputs.ts';

/** Leaves the tree unpacked for the stages after it. */
export const run: StageWork<OsconfigInputs, OsconfigFacts> = async (
  { parents, tree, copyTree, context },
  { rootfs },
  { cacheDir },
) => {
  const { file, packages, archives } = readRootfsEntry(parents.rootfs);
  const configured = await configureRootfs(
    {
      parent: file,
      ...(tree && { tree }),
      copyTree,
      osconfig: rootfs.osconfig,
      scripts: rootfs.scripts,
      cacheDir,
    },
    context,
  );
  // Whoever writes the bill of materials of a disk knows this stage only.
  await copyFile(archives, join(context.outputDir, ARCHIVES_FILE));
  return { ...configured, facts: { packages } };
};

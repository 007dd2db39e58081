// Runs the stage `osconfig`.
import { readRootfsEntry } from '../rootfs/rootfs-entry.ts';
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
  const { file, packages } = readRootfsEntry(parents.rootfs);
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
  return { ...configured, facts: { packages } };
};

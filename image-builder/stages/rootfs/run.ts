// Runs the stage `rootfs`.
import type { StageWork } from '../stage.ts';
import { buildRootfs } from './build-rootfs.ts';
import type { RootfsFacts } from './rootfs-entry.ts';
import type { RootfsInputs } from './rootfs-inputs.ts';

/** Leaves the tree unpacked for the stage after it. */
export const run: StageWork<RootfsInputs, RootfsFacts> = async (
  { stage, inputs, context },
  { distribution, mirror, sources, lock, replay = lock, rootfs, origins },
  { cacheDir },
) => {
  const { tree, ...facts } = await buildRootfs(
    {
      distribution,
      mirror,
      sources,
      ...(replay && { lock: replay }),
      multistrap: rootfs.multistrap,
      origins,
      cacheDir,
      madeBy: [stage.code, stage.toolVersions],
      ...(inputs.sourceDateEpoch !== undefined && { sourceDateEpoch: inputs.sourceDateEpoch }),
    },
    context,
  );
  return { tree, facts };
};

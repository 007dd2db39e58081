// The stage `iso`: the live system of the ephemeral node, from the common root file system and cloud-init's data.
import { join } from 'node:path';
import { checksumFile } from '../../bundle/checksums.ts';
import type { IsoArtifact } from '../../bundle/model.ts';
import { assembleIso } from '../../disk/live-iso.ts';
import type { StageImplementation } from '../../pipeline/stage-runner.ts';
import type { ResolvedBuild } from '../../spec/variables/resolved.ts';
import { rootfsFileOf } from '../common.ts';
import { unpackRootfs } from '../osconfig/configure.ts';

/** Implements the stage. */
export function isoStage(resolved: ResolvedBuild): StageImplementation {
  return async ({ stage, parents, tree: left, context }) => {
    const { iso, rootfs } = resolved;
    if (!iso) throw new TypeError('the build has no ISO');
    const tree = left ?? (await unpackRootfs(rootfsFileOf(parents.osconfig), context));
    const file = iso.outputFileName;
    const output = join(context.outputDir, file);
    const { secureBoot } = await assembleIso(
      {
        tree,
        livecdcontent: rootfs.livecdcontent,
        cloudInit: { userData: iso.userData, networkData: iso.networkData, metaData: iso.metaData },
        identifierSeed: stage.recipe,
        output,
      },
      context,
    );
    context.report({ type: 'step', stage: context.stage, message: 'compute checksums' });
    const { signal, report } = context;
    const onBytes = (done: number) => report({ type: 'bytes', stage: context.stage, done });
    const artifact: IsoArtifact = {
      file,
      format: 'iso',
      ...(await checksumFile(output, { signal, onBytes })),
    };
    return { facts: { artifact, secureBoot }, digests: { [file]: artifact.sha256 } };
  };
}

// Runs the stage `iso`: an ISO from the common root file system and cloud-init's data.
import { join } from 'node:path';
import { checksumFile } from '../../bundle/checksums.ts';
import type { IsoArtifact } from '../../bundle/model.ts';
import { assembleIso } from '../../disk/live-iso.ts';
import { unpackRootfs } from '../osconfig/configure.ts';
import { readOsconfigEntry } from '../osconfig/osconfig-entry.ts';
import type { StageWork } from '../stage.ts';
import type { IsoFacts } from './iso-entry.ts';
import type { IsoInputs } from './iso-inputs.ts';

/** Takes the tree that osconfig has left, if it is still there. */
export const run: StageWork<IsoInputs, IsoFacts> = async (
  { stage, parents, tree: left, context },
  { iso, rootfs },
) => {
  if (!iso) throw new TypeError('the build has no ISO');
  const tree = left ?? (await unpackRootfs(readOsconfigEntry(parents.osconfig).file, context));
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
  context.step('compute checksums');
  const artifact: IsoArtifact = {
    file,
    format: 'iso',
    ...(await checksumFile(output, { signal: context.signal, onBytes: context.bytes })),
  };
  return { facts: { artifact, secureBoot }, digests: { [file]: artifact.sha256 } };
};

// functionConfig of kind IsoConfiguration: cuts the ISO of the ephemeral node with cloud-init's data from the items. It
// runs where the tools are: in the image-builder image, or by exec on a machine that has them.
import { join } from 'node:path';
import type { CutRequest } from '../../../image-builder/airship/request.ts';
import { readPreparedBase } from '../../../image-builder/airship/root-file-system.ts';
import type { FunctionResult, Handler } from '../handler.ts';
import { readIsoRequest } from './iso-request.ts';

/** Writes the ISO and its metadata into the volume; makes no objects. */
export const handleIsoConfiguration: Handler = async (config, context): Promise<FunctionResult> => {
  const insideContainer = process.env.IMAGE_BUILDER_CONTAINER !== undefined;
  const request = readIsoRequest(config.value, context.readItems(), insideContainer);
  if (!insideContainer) await requireVolume(request, context.cwd);
  const { cut } = await import('../../../image-builder/airship/cut.ts');
  const names = await cut(request, await readPreparedBase(), context);
  const message = `${names.join(', ')} written to ${request.volume}`;
  return { objects: [], findings: [{ severity: 'info', message }] };
};

/** The volume is a directory of this machine then, and a render has named it. @throws InvalidInputError */
async function requireVolume({ volume, imageName }: CutRequest, cwd: string): Promise<void> {
  const [{ loadPolicy }, { SpecOutputs }, { PathError }, { isIso }] = await Promise.all([
    import('../../../image-builder/policy/load.ts'),
    import('../../../image-builder/policy/outputs.ts'),
    import('../../../image-builder/policy/paths.ts'),
    import('../../../image-builder/airship/iso-file.ts'),
  ]);
  const { write } = await loadPolicy({ caller: 'render', env: process.env, cwd });
  const outputs = new SpecOutputs(cwd, write);
  try {
    await outputs.requireFile(join(volume, imageName), isIso, 'ISO');
  } catch (error) {
    throw error instanceof PathError ? error.at('container.volume') : error;
  }
}

// functionConfig of kind IsoConfiguration: cuts the ISO of the ephemeral node with cloud-init's data from the items. It
// runs where the tools are: in the image-builder image, or by exec on a machine that has them.
import { readPreparedBase } from '../../../image-builder/contracts/base.ts';
import type { FunctionResult, Handler } from '../handler.ts';
import { readIsoRequest } from './iso-request.ts';

/** Writes the ISO and its metadata into the volume; makes no objects. */
export const handleIsoConfiguration: Handler = async (config, context): Promise<FunctionResult> => {
  const insideContainer = process.env.IMAGE_BUILDER_CONTAINER !== undefined;
  const request = readIsoRequest(config.value, context.readItems(), insideContainer);
  const { cut } = await import('../../../image-builder/contracts/cut.ts');
  const names = await cut(request, await readPreparedBase(), context);
  const message = `${names.join(', ')} written to ${request.volume}`;
  return { objects: [], findings: [{ severity: 'info', message }] };
};

// What decides the common configuration. Pure.
import type { ResolvedBuild } from '../../spec/variables/resolved.ts';
import { forContext } from '../inputs.ts';

/** What decides the configuration. */
export type OsconfigInputs = ReturnType<typeof osconfigInputs>;

/** Takes out of the variables what the configuration that all images share is made from. */
export function osconfigInputs({ osconfig, scripts }: ResolvedBuild['rootfs']) {
  return { osconfig: forContext(osconfig, 'common'), scripts };
}

// What decides the disk of an image. Pure.
import type { ResolvedBuild } from '../../spec/variables/resolved.ts';
import { forContext } from '../inputs.ts';

type Image = ResolvedBuild['qcows'][string];

/** What decides a disk. */
export type QcowInputs = ReturnType<typeof qcowInputs>;

/** Takes out of the variables of an image what its disk is made from. */
export function qcowInputs({ osconfig, qcow, scripts }: Image) {
  return { osconfig: forContext(osconfig, 'qcow'), qcow, scripts };
}

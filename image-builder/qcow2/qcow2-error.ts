// The ways in which a qcow2 image, or the index of its blocks, is other than expected.
import { ImageBuilderError } from '../base/diagnostics/error.ts';

export type Qcow2ErrorCode =
  /** A qcow2 image has what qemu-img does not write for Image Builder. */
  | 'QCOW2_UNEXPECTED'
  /** The index of the blocks of an image is damaged, or contradicts itself. */
  | 'BLOCK_INDEX_INVALID';

/** An error of reading qcow2 images. */
export class Qcow2Error extends ImageBuilderError<Qcow2ErrorCode> {}

/** @param what the part that differs: `its header` */
export function unexpectedQcow2(what: string): Qcow2Error {
  return new Qcow2Error('QCOW2_UNEXPECTED', `a qcow2 image differs in ${what} from what qemu-img writes`, {
    hint: 'If Image Builder has just made it, this is a bug; report it with the version of qemu-img.',
  });
}

// What can go wrong with a container engine.
import { ImageBuilderError } from '../base/diagnostics/error.ts';

export type ContainerErrorCode =
  /** No engine is installed, or not the one that was asked for. */
  | 'ENGINE_MISSING'
  /** The engine is installed and does not answer. */
  | 'ENGINE_REFUSES'
  /** The image is neither there nor can be pulled. */
  | 'IMAGE_MISSING'
  /** The container ended in a way that its program did not choose. */
  | 'CONTAINER_FAILED';

/** A container engine cannot do what was asked of it. */
export class ContainerError extends ImageBuilderError<ContainerErrorCode> {}

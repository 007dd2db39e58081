// What can go wrong with a container engine.
import { ImageBuilderError } from '../base/diagnostics/error.ts';

export type ContainerErrorCode =
  /** No engine is installed, or not the requested one. */
  | 'ENGINE_MISSING'
  /** The engine is installed but does not answer. */
  | 'ENGINE_REFUSES'
  /** The image does not exist locally and cannot be pulled. */
  | 'IMAGE_MISSING'
  /** The container ended abnormally. */
  | 'CONTAINER_FAILED';

/** A container engine cannot do what was asked of it. */
export class ContainerError extends ImageBuilderError<ContainerErrorCode> {}

// What can go wrong when an OCI layout is written; reading one throws RegistryError.
import { ImageBuilderError } from '../../base/diagnostics/error.ts';

export type LayoutErrorCode =
  /** Something else is where the layout is to be written. */
  | 'LAYOUT_INVALID'
  /** The layout or archive could not be written. */
  | 'LAYOUT_WRITE_FAILED';

/** A layout could not be written; its index is as it was. */
export class LayoutError extends ImageBuilderError<LayoutErrorCode> {}

// What can go wrong when a bundle is written.
import { ImageBuilderError } from '../diagnostics/error.ts';

export type BundleWriteErrorCode =
  | 'BUNDLE_NAME_INVALID'
  | 'BUNDLE_SOURCE_INVALID'
  | 'BUNDLE_DESTINATION_INVALID'
  | 'BUNDLE_BASE_INVALID'
  | 'BUNDLE_BASE_MISSING'
  | 'BUNDLE_WRITE_FAILED';

/** A bundle could not be written; nothing has changed at its destination. */
export class BundleWriteError extends ImageBuilderError<BundleWriteErrorCode> {}

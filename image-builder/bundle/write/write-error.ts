// What can go wrong when a bundle is put together; LayoutError is about the place where it goes.
import { ImageBuilderError } from '../../base/diagnostics/error.ts';

export type BundleWriteErrorCode =
  /** An invalid name of a file, a tag or a repository. */
  | 'BUNDLE_NAME_INVALID'
  /** A disk image or profile cannot be packed. */
  | 'BUNDLE_SOURCE_INVALID'
  /** The base image is unusable: another architecture, no function, or damaged. */
  | 'BUNDLE_BASE_INVALID'
  /** This installation has no base for bundles of this architecture. */
  | 'BUNDLE_BASE_MISSING'
  /** The bundle arrived incomplete from where it was built, or its base could not be kept. */
  | 'BUNDLE_WRITE_FAILED';

/** A bundle could not be made; nothing has changed at its destination. */
export class BundleWriteError extends ImageBuilderError<BundleWriteErrorCode> {}

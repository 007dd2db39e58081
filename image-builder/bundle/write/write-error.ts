// What can go wrong when a bundle is written.
import { ImageBuilderError } from '../../base/diagnostics/error.ts';
import { LayoutError, type LayoutErrorCode } from '../../oci/layout/layout-error.ts';

export type BundleWriteErrorCode =
  /** An invalid name of a file, a tag or a repository. */
  | 'BUNDLE_NAME_INVALID'
  /** A disk image or profile cannot be packed. */
  | 'BUNDLE_SOURCE_INVALID'
  /** Something else exists where the bundle is to be written. */
  | 'BUNDLE_DESTINATION_INVALID'
  /** The base image is unusable: another architecture, no function, or damaged. */
  | 'BUNDLE_BASE_INVALID'
  /** This installation has no base for bundles of this architecture. */
  | 'BUNDLE_BASE_MISSING'
  /** The bundle could not be written. */
  | 'BUNDLE_WRITE_FAILED';

/** A bundle could not be written; nothing has changed at its destination. */
export class BundleWriteError extends ImageBuilderError<BundleWriteErrorCode> {}

const OF_LAYOUT: Record<LayoutErrorCode, BundleWriteErrorCode> = {
  LAYOUT_INVALID: 'BUNDLE_DESTINATION_INVALID',
  LAYOUT_WRITE_FAILED: 'BUNDLE_WRITE_FAILED',
};

/** The error of a bundle whose layout cannot be written; any other passes. */
export function asBundleError(error: unknown): unknown {
  if (!(error instanceof LayoutError)) return error;
  const { code, message, cause, hint } = error;
  return new BundleWriteError(OF_LAYOUT[code], message, { cause, ...(hint !== undefined && { hint }) });
}

// The errors of reading and writing bundles.

import { type ErrorOptions, ImageBuilderError } from '../base/diagnostics/error.ts';

export type BundleErrorCode =
  /** The image has no such file. */
  | 'FILE_NOT_FOUND'
  /** The image has no profiles: it is not a bundle. */
  | 'NOT_A_BUNDLE'
  /** The path is not a regular file, or leads in a circle. */
  | 'NOT_A_FILE'
  /** The file is larger than one that is read whole may be. */
  | 'FILE_TOO_LARGE'
  /** A profile is not JSON, or a checksum file not a checksum. */
  | 'INVALID_CONTENT'
  /** A file is not what its checksum says. */
  | 'CHECKSUM_MISMATCH'
  /** The bundle has no bill of materials, or none of the disk that was asked for. */
  | 'SBOM_MISSING'
  /** There is a file that is not to be replaced. */
  | 'FILE_EXISTS'
  /** Where files are to be kept is a directory of somebody else, or none. */
  | 'UNSAFE_DIRECTORY'
  /** A reference in a file is written so that it cannot be replaced. */
  | 'NOT_EDITABLE'
  /** The file system does not take it. */
  | 'WRITE_FAILED';

/** Thrown by `image-builder/bundle`. */
export class BundleError extends ImageBuilderError<BundleErrorCode> {
  constructor(code: BundleErrorCode, message: string, options: ErrorOptions = {}) {
    super(code, message, options);
  }
}

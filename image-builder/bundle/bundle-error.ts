// The errors of reading and writing bundles.

import { type ErrorOptions, ImageBuilderError } from '../base/diagnostics/error.ts';

export type BundleErrorCode =
  /** The image has no such file. */
  | 'FILE_NOT_FOUND'
  /** The image has no profiles: it is not a bundle. */
  | 'NOT_A_BUNDLE'
  /** The path is not a regular file, or is a loop of links. */
  | 'NOT_A_FILE'
  /** The file is larger than the limit for files that are read whole. */
  | 'FILE_TOO_LARGE'
  /** A file of the bundle has invalid content: a profile that is not JSON, a checksum file without a checksum, ... */
  | 'INVALID_CONTENT'
  /** A file does not match its checksum. */
  | 'CHECKSUM_MISMATCH'
  /** The bundle has no bill of materials, or none of the disk that was asked for. */
  | 'SBOM_MISSING'
  /** A file exists that must not be replaced. */
  | 'FILE_EXISTS'
  /** The directory for the files is not a directory, or belongs to somebody else. */
  | 'UNSAFE_DIRECTORY'
  /** A reference in a file is written in a form that cannot be replaced. */
  | 'NOT_EDITABLE'
  /** The file could not be written. */
  | 'WRITE_FAILED';

/** Thrown by `image-builder/bundle`. */
export class BundleError extends ImageBuilderError<BundleErrorCode> {
  constructor(code: BundleErrorCode, message: string, options: ErrorOptions = {}) {
    super(code, message, options);
  }
}

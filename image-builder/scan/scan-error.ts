// Why a disk cannot be compared with a database of vulnerabilities. What cannot be understood is an error, never "nothing
// found".
import { type ErrorOptions, ImageBuilderError } from '../base/diagnostics/error.ts';

/** Closed set; docs/reference/errors.md describes each. */
export type ScanErrorCode =
  /** The database, or a VEX document, is none, is damaged, or has values of other types than its format. */
  | 'SCAN_INPUT_INVALID'
  /** It is larger, or unpacks to more, than any that is published. */
  | 'SCAN_INPUT_TOO_LARGE'
  /** The database says nothing about the distribution of the disk. */
  | 'SCAN_DATABASE_FOREIGN'
  /** The bill of materials names no Debian packages. */
  | 'SCAN_SBOM_UNUSABLE';

/** See {@link ScanErrorCode}. */
export class ScanError extends ImageBuilderError<ScanErrorCode> {
  constructor(code: ScanErrorCode, message: string, options: ErrorOptions = {}) {
    super(code, message, options);
  }
}

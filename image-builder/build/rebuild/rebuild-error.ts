// Why a bundle could not be built again, or what came of it.
import { type ErrorOptions, ImageBuilderError } from '../../base/diagnostics/error.ts';

/** Closed set; docs/reference/errors.md describes each. */
export type RebuildErrorCode =
  /** The provenance does not say what was built, or the document that it names is not there or is none. */
  | 'REBUILD_UNDESCRIBED'
  /** The build had secret values, which nobody publishes. */
  | 'REBUILD_NEEDS_SECRETS'
  /** With these secrets, or as this release reads it, it is another build. */
  | 'REBUILD_OTHER_BUILD'
  /** Built again it has other bytes. */
  | 'REBUILD_DIFFERS';

/** See {@link RebuildErrorCode}. */
export class RebuildError extends ImageBuilderError<RebuildErrorCode> {
  constructor(code: RebuildErrorCode, message: string, options: ErrorOptions = {}) {
    super(code, message, options);
  }
}

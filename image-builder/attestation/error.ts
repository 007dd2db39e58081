// Why a bundle is not believed, or a statement about it cannot be made.
import { type ErrorOptions, ImageBuilderError } from '../base/diagnostics/error.ts';

/** Closed set; docs/reference/errors.md describes each. */
export type TrustErrorCode =
  /** A key of the caller's cannot be used: another algorithm, not a key, a wrong passphrase. */
  | 'TRUST_KEY_UNUSABLE'
  /** Nothing that is demanded was found: no statement of that kind is there at all. */
  | 'TRUST_MISSING'
  /** There are such statements, but none that a trusted key has made about this bundle. */
  | 'TRUST_REFUSED'
  /** Signed by a trusted key, for another repository or tag, too long ago, or by another builder. */
  | 'TRUST_CLAIM_MISMATCH'
  /** A trusted key says that a disk has not booted, or no such statement covers it. */
  | 'TRUST_BOOT_TEST'
  /** More statements than anybody makes: nothing of them was looked at. */
  | 'TRUST_TOO_MANY';

/** See {@link TrustErrorCode}. */
export class TrustError extends ImageBuilderError<TrustErrorCode> {
  constructor(code: TrustErrorCode, message: string, options: ErrorOptions = {}) {
    super(code, message, options);
  }
}

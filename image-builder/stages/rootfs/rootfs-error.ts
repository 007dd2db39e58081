// The errors of building a root file system. They name the field of the spec that the user can change.
import { type ErrorOptions, type Finding, ImageBuilderError } from '../../base/diagnostics/error.ts';

export type RootfsErrorCode =
  /** A repository cannot be reached or read. */
  | 'REPOSITORY_UNREACHABLE'
  /** The Release file of a repository has expired or is dated in the future. */
  | 'REPOSITORY_OUTDATED'
  /** There is no space for the fetched files. */
  | 'DISK_FULL'
  /** A repository is not signed, or not by the key that the spec names. */
  | 'REPOSITORY_UNTRUSTED'
  /** The key of a repository is not available. */
  | 'KEY_UNAVAILABLE'
  /** A package, its version or one of its dependencies is not available. */
  | 'PACKAGE_UNAVAILABLE'
  /** Packages that would be installed do not work together. */
  | 'PACKAGES_INCOMPATIBLE'
  /** A package of the lock file is no longer available. */
  | 'LOCKED_PACKAGE_GONE'
  /** A package with the locked name and version has different content. */
  | 'LOCKED_PACKAGE_CHANGED'
  /** A repository provides no SHA-256 of a package, so it cannot be locked. */
  | 'NOT_LOCKABLE'
  /** Packages were fetched, but could not be installed. */
  | 'INSTALLATION_FAILED';

/** See {@link RootfsErrorCode}. */
export class RootfsError extends ImageBuilderError<RootfsErrorCode> {
  /** Path of the field, when one is to blame. */
  readonly field?: string;
  /** What else is wrong in the same way. */
  readonly #others: readonly RootfsError[];

  constructor(
    code: RootfsErrorCode,
    message: string,
    options: ErrorOptions & { field?: string; others?: readonly RootfsError[] } = {},
  ) {
    super(code, options.field === undefined ? message : `${options.field}: ${message}`, options);
    if (options.field !== undefined) this.field = options.field;
    this.#others = options.others ?? [];
  }

  override findings(): Finding[] {
    const { field } = this;
    const findings = super
      .findings()
      .map((finding) =>
        field === undefined
          ? finding
          : { ...finding, field, message: finding.message.slice(field.length + 2) },
      );
    return [...findings, ...this.#others.flatMap((error) => error.findings())];
  }
}

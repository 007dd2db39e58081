// The errors of building a root file system. They name the field of the spec that the user can change.
import { type ErrorOptions, type Finding, ImageBuilderError } from '../../base/diagnostics/error.ts';

export type RootfsErrorCode =
  /** A repository cannot be fetched from. */
  | 'REPOSITORY_UNREACHABLE'
  /** The Release file of a repository has expired, or is from the future. */
  | 'REPOSITORY_OUTDATED'
  /** There is no room for what is fetched. */
  | 'DISK_FULL'
  /** A repository is not signed, or by another key than the one that the spec names. */
  | 'REPOSITORY_UNTRUSTED'
  /** The key of a repository cannot be had. */
  | 'KEY_UNAVAILABLE'
  /** A package does not exist, or not in that version, or what it depends on cannot be installed. */
  | 'PACKAGE_UNAVAILABLE'
  /** Packages that would be installed do not work together. */
  | 'PACKAGES_INCOMPATIBLE'
  /** A package of the lock file is nowhere to be had. */
  | 'LOCKED_PACKAGE_GONE'
  /** Under the name and version of a package of the lock file there is another file. */
  | 'LOCKED_PACKAGE_CHANGED'
  /** A repository has no SHA-256 of a package, so that it cannot be locked. */
  | 'NOT_LOCKABLE'
  /** Packages could be fetched, but not installed. */
  | 'INSTALLATION_FAILED';

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

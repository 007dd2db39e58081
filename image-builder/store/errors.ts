// The errors of the store, and what the kernel's error numbers mean to someone whose store is full or read-only.
import { errnoOf } from '../base/diagnostics/errno.ts';
import { type ErrorOptions, ImageBuilderError } from '../base/diagnostics/error.ts';

export type StoreErrorCode =
  /** The store is not writable for this user. */
  | 'STORE_READ_ONLY'
  /** The file system of the store is full. */
  | 'STORE_FULL'
  /** The store cannot be read or written. */
  | 'STORE_UNUSABLE'
  /** The store was written by a newer release. */
  | 'STORE_LAYOUT_UNKNOWN'
  /** The store has no such entry. */
  | 'STORE_ENTRY_MISSING'
  /** Files of an entry differ from its record. */
  | 'STORE_ENTRY_CORRUPT'
  /** The imported file is not an archive of a store, or is damaged. */
  | 'STORE_ARCHIVE_INVALID'
  /** Other users could have modified the store. */
  | 'STORE_NOT_PRIVATE';

/** The store could not do what it was asked for. */
export class StoreError extends ImageBuilderError<StoreErrorCode> {}

/** An entry whose files are not those that were recorded; the caller drops it and builds it again. */
export class CorruptEntryError extends StoreError {
  /** Identity of the entry: `<kind>-<key>`. */
  readonly entry: string;

  constructor(entry: string, message: string, options: ErrorOptions = {}) {
    super('STORE_ENTRY_CORRUPT', message, options);
    this.entry = entry;
  }
}

/**
 * Says what a failed system call means for the store in `directory`.
 * @param doing what was attempted, as in "cannot <doing>"
 */
export function storeFailure(error: unknown, doing: string, directory: string): ImageBuilderError {
  if (error instanceof ImageBuilderError) return error;
  const errno = errnoOf(error);
  if (errno === 'EROFS' || errno === 'EACCES' || errno === 'EPERM') {
    return new StoreError('STORE_READ_ONLY', `cannot ${doing}: the store ${directory} is not writable`, {
      cause: error,
      hint: 'name a writable directory with IMAGE_BUILDER_STORE or --store; a read-only store still serves what it has; users who share a store need a common group, mode 2770 and umask 007 (docs/how-to/share-results.md)',
    });
  }
  if (errno === 'ENOSPC' || errno === 'EDQUOT') return storeFull(directory, `cannot ${doing}`, error);
  const reason = error instanceof Error ? error.message : String(error);
  return new StoreError('STORE_UNUSABLE', `cannot ${doing} in the store ${directory}: ${reason}`, {
    cause: error,
  });
}

/** The file system of the store is full. */
export function storeFull(directory: string, what: string, cause: unknown, output?: string[]): StoreError {
  return new StoreError('STORE_FULL', `${what}: no space left for the store ${directory}`, {
    cause,
    hint: 'free space, run `image-builder store gc`, or name another directory with IMAGE_BUILDER_STORE',
    ...(output === undefined ? {} : { output }),
  });
}
